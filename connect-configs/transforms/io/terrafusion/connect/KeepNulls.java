// SPDX-License-Identifier: Apache-2.0
package io.terrafusion.connect;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.cache.LRUCache;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.transforms.Transformation;

/**
 * Takes the column defaults out of the rows ("before" and "after") of a change event, schema and value.
 *
 * <p>The Avro converter writes a column's default where the row holds an explicit NULL; without a default in the
 * schema the NULL stays NULL. Names, versions, docs, parameters and optionality of the schemas are kept. Values
 * without rows (tombstones, heartbeats, logical messages) and rows without defaults pass as the same object.
 */
public class KeepNulls<R extends ConnectRecord<R>> implements Transformation<R> {
    private static final List<String> ROWS = List.of("before", "after");
    private final LRUCache<Schema, Schema> envelopes = new LRUCache<>(1024);

    @Override
    public R apply(R record) {
        Schema schema = record.valueSchema();
        if (!(record.value() instanceof Struct) || ROWS.stream().allMatch(row -> schema.field(row) == null)) {
            return record;
        }
        Schema bare = envelopes.get(schema);
        if (bare == null) {
            bare = envelope(schema);
            envelopes.put(schema, bare);
        }
        return bare == schema ? record : record.newRecord(record.topic(), record.kafkaPartition(), record.keySchema(),
            record.key(), bare, value(record.value(), schema, bare), record.timestamp(), record.headers());
    }

    private static Schema envelope(Schema schema) {
        SchemaBuilder builder = builder(schema);
        boolean same = true;
        for (Field field : schema.fields()) {
            Schema bare = ROWS.contains(field.name()) ? bare(field.schema()) : field.schema();
            same &= bare == field.schema();
            builder.field(field.name(), bare);
        }
        return same ? schema : builder.build();
    }

    /** The schema without defaults at any depth; the same object where there are none. */
    private static Schema bare(Schema schema) {
        SchemaBuilder builder = builder(schema);
        boolean same = schema.defaultValue() == null;
        if (schema.type() == Schema.Type.STRUCT) {
            for (Field field : schema.fields()) {
                Schema bare = bare(field.schema());
                same &= bare == field.schema();
                builder.field(field.name(), bare);
            }
        } else if (schema.type() == Schema.Type.ARRAY || schema.type() == Schema.Type.MAP) {
            same &= bare(schema.valueSchema()) == schema.valueSchema();
        }
        return same ? schema : builder.build();
    }

    private static SchemaBuilder builder(Schema schema) {
        SchemaBuilder builder = switch (schema.type()) {
            case ARRAY -> SchemaBuilder.array(bare(schema.valueSchema()));
            case MAP -> SchemaBuilder.map(schema.keySchema(), bare(schema.valueSchema()));
            default -> SchemaBuilder.type(schema.type());
        };
        builder.name(schema.name()).version(schema.version()).doc(schema.doc());
        if (schema.parameters() != null) {
            builder.parameters(schema.parameters());
        }
        return schema.isOptional() ? builder.optional() : builder.required();
    }

    private static Object value(Object value, Schema from, Schema to) {
        if (value == null || from == to) {
            return value;
        }
        return switch (from.type()) {
            case STRUCT -> struct((Struct) value, from, to);
            case ARRAY -> {
                List<Object> items = new ArrayList<>();
                ((List<?>) value).forEach(item -> items.add(value(item, from.valueSchema(), to.valueSchema())));
                yield items;
            }
            case MAP -> {
                Map<Object, Object> entries = new LinkedHashMap<>();
                ((Map<?, ?>) value).forEach((k, v) -> entries.put(k, value(v, from.valueSchema(), to.valueSchema())));
                yield entries;
            }
            default -> value;
        };
    }

    private static Struct struct(Struct value, Schema from, Schema to) {
        Struct result = new Struct(to);
        for (Field field : from.fields()) {
            Object item = value.getWithoutDefault(field.name());
            if (item == null && !field.schema().isOptional()) {
                item = field.schema().defaultValue(); // a required field left unset means its default
            }
            Field target = to.field(field.name());
            result.put(target, value(item, field.schema(), target.schema()));
        }
        return result;
    }

    @Override
    public ConfigDef config() {
        return new ConfigDef();
    }

    @Override
    public void configure(Map<String, ?> settings) {}

    @Override
    public void close() {}
}
