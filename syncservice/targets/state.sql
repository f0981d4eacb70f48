-- What exactly-once needs inside a target database (design section 4). Idempotent.
-- The schema itself may have been made by an administrator: CREATE SCHEMA asks for a right even when it exists.
DO $$ BEGIN
    IF to_regnamespace('terrafusion') IS NULL THEN CREATE SCHEMA terrafusion; END IF;
END $$;

CREATE TABLE IF NOT EXISTS terrafusion.offsets (
    pair          text        NOT NULL,
    generation    text        NOT NULL,            -- 'live', or the operation that builds a shadow
    topic         text        NOT NULL,
    topic_id      text        NOT NULL,            -- a re-created topic is another topic
    partition     integer     NOT NULL,
    next_offset   bigint      NOT NULL CHECK (next_offset >= 0),
    epoch         bigint      NOT NULL DEFAULT 0,
    owner         text,
    owner_pid     integer,
    owner_started timestamptz,
    updated_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pair, generation, topic, partition)
);

CREATE TABLE IF NOT EXISTS terrafusion.dead_letters (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pair         text        NOT NULL,
    generation   text        NOT NULL,
    topic        text        NOT NULL,
    topic_id     text        NOT NULL,
    partition    integer     NOT NULL,
    "offset"     bigint      NOT NULL,
    table_name   text        NOT NULL,
    key          text,                             -- the logical key as JSON, where it could be read
    raw_key      bytea,
    raw_value    bytea,
    code         text        NOT NULL,
    reason       text        NOT NULL,
    fingerprint  text        NOT NULL,
    source_lsn   bigint,
    source_ts_ms bigint,
    created_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (pair, generation, topic_id, partition, "offset")
);

CREATE TABLE IF NOT EXISTS terrafusion.parked_keys (
    pair         text   NOT NULL,
    generation   text   NOT NULL,
    table_name   text   NOT NULL,
    key          text   NOT NULL,
    since_offset bigint NOT NULL,
    PRIMARY KEY (pair, generation, table_name, key)
);
