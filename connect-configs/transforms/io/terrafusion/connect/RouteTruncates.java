// SPDX-License-Identifier: Apache-2.0
package io.terrafusion.connect;

import java.util.Map;
import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.transforms.Transformation;

/**
 * Sends truncate events (op "t"), which have no key, to a topic of their own.
 *
 * <p>A compacted topic refuses a record without a key, which would fail the whole task. The event itself is not
 * changed: its source block names table and LSN, by which it is ordered against the rows. All else passes untouched.
 */
public class RouteTruncates<R extends ConnectRecord<R>> implements Transformation<R> {
    private static final String TOPIC = "truncates.topic";
    private String topic;

    @Override
    public R apply(R record) {
        if (!(record.value() instanceof Struct value) || value.schema().field("op") == null
                || !"t".equals(value.get("op"))) {
            return record;
        }
        return record.newRecord(topic, null, record.keySchema(), record.key(), record.valueSchema(), value,
            record.timestamp(), record.headers());
    }

    @Override
    public ConfigDef config() {
        return new ConfigDef().define(TOPIC, ConfigDef.Type.STRING, ConfigDef.NO_DEFAULT_VALUE,
            new ConfigDef.NonEmptyString(), ConfigDef.Importance.HIGH, "Topic (delete policy) for truncate events");
    }

    @Override
    public void configure(Map<String, ?> settings) {
        topic = new AbstractConfig(config(), settings).getString(TOPIC);
    }

    @Override
    public void close() {}
}
