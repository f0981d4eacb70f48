-- CAMA: the mass appraisal system that receives the changes. Run as superuser in an empty database `cama`.
-- Same types as the source, other names and another column order. The applier owns what it writes.
CREATE SCHEMA cama AUTHORIZATION terrafusion_applier;
CREATE SCHEMA terrafusion AUTHORIZATION terrafusion_applier;
SET ROLE terrafusion_applier;

CREATE TABLE cama.owners (
    owner_ref      bigint PRIMARY KEY,
    external_id    uuid NOT NULL,
    name           text NOT NULL,
    company        boolean NOT NULL DEFAULT false,
    mailing_address text,
    state          char(2) NOT NULL,
    phone_numbers  text[],
    contact        jsonb,
    amount_due     numeric(12,2) DEFAULT 0.00,
    member_since   timestamptz NOT NULL
);
CREATE INDEX owners_name ON cama.owners (name);

CREATE TABLE cama.parcels (
    parcel_number  text PRIMARY KEY,
    owner_ref      bigint,
    owner          text NOT NULL,
    situs          text,
    use_code       text DEFAULT 'RESIDENTIAL',
    tax_code_area  char(6) NOT NULL,
    assessed_value numeric(12,2) NOT NULL,
    acres          double precision,
    built          smallint,
    exempt         boolean NOT NULL DEFAULT false,
    inspected_on   date,
    attributes     jsonb,
    tags           text[],
    zoning         int[],
    legal_text     text,
    modified_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX parcels_owner_ref ON cama.parcels (owner_ref);
CREATE INDEX parcels_use_value ON cama.parcels (use_code, assessed_value DESC);

CREATE TABLE cama.sales (
    sale_no       bigint PRIMARY KEY,
    deed          uuid NOT NULL,
    parcel_number text NOT NULL,
    sold_on       date NOT NULL,
    sale_price    numeric(12,2),
    buyer         text NOT NULL,
    deed_type     char(4) NOT NULL,
    qualified     boolean DEFAULT true,
    sales_ratio   double precision,
    recorded_at   timestamptz NOT NULL
);
CREATE INDEX sales_parcel ON cama.sales (parcel_number, sold_on);

CREATE TABLE cama.permits (
    year          smallint NOT NULL,
    number        int NOT NULL,
    parcel_number text NOT NULL,
    work          text,
    state         text DEFAULT 'OPEN',
    valuation     numeric(12,2),
    issued        date NOT NULL,
    inspection_days int[],
    details       jsonb,
    closed_at     timestamptz,
    PRIMARY KEY (year, number)
);
CREATE INDEX permits_parcel ON cama.permits (parcel_number);
