-- PACS: the appraisal system whose changes are captured. Run as superuser in an empty database `pacs`.
-- Every table holds text that may be TOASTed, so each publishes full before-images.

CREATE TABLE public.owner (
    owner_id      bigint PRIMARY KEY,
    owner_uid     uuid NOT NULL,
    full_name     text NOT NULL,
    mailing_line  text,
    state_code    char(2) NOT NULL,
    is_company    boolean NOT NULL DEFAULT false,
    phones        text[],
    contact       jsonb,
    balance_due   numeric(12,2) DEFAULT 0.00,
    registered_at timestamptz NOT NULL
);

CREATE TABLE public.parcel (
    apn               text PRIMARY KEY,
    owner_id          bigint,
    owner_name        text NOT NULL,
    situs_address     text,
    tax_area          char(6) NOT NULL,
    land_use          text DEFAULT 'RESIDENTIAL',
    assessed_value    numeric(12,2) NOT NULL,
    land_acres        double precision,
    year_built        smallint,
    is_exempt         boolean NOT NULL DEFAULT false,
    last_inspected    date,
    attributes        jsonb,
    tags              text[],
    zoning_codes      int[],
    legal_description text,
    updated_at        timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public.sale (
    sale_id     bigint PRIMARY KEY,
    deed_uid    uuid NOT NULL,
    apn         text NOT NULL,
    sale_date   date NOT NULL,
    price       numeric(12,2),
    buyer_name  text NOT NULL,
    instrument  char(4) NOT NULL,
    is_qualified boolean DEFAULT true,
    ratio       double precision,
    recorded_at timestamptz NOT NULL
);

CREATE TABLE public.permit (
    permit_year  smallint NOT NULL,
    permit_no    int NOT NULL,
    apn          text NOT NULL,
    description  text,
    status       text DEFAULT 'OPEN',
    cost         numeric(12,2),
    issued_on    date NOT NULL,
    inspections  int[],
    details      jsonb,
    finalised_at timestamptz,
    PRIMARY KEY (permit_year, permit_no)
);

-- Keys of rows that are made while the demo runs; far above those of the generated county.
CREATE SEQUENCE public.new_key START 100000000;
