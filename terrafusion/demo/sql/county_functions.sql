-- A synthetic county, made by the server from numbers and a seed: same seed and size, same rows.
-- Variables of the session: demo.seed and demo.parcels. Nothing calls random() or now(). The functions are
-- STABLE so that the planner inlines them (declared IMMUTABLE it may not, and the load takes three times as long).

-- A number in [0, choices), the same for ever for the same row, column (salt) and seed.
CREATE FUNCTION pg_temp.pick(row_no bigint, salt int, choices bigint) RETURNS bigint
LANGUAGE sql STABLE RETURN
    (hashint8extended(row_no, salt * 1000003 + current_setting('demo.seed')::bigint) & 9007199254740991) % choices;

-- The assessor's parcel number: book-page-lot.
CREATE FUNCTION pg_temp.apn(row_no bigint) RETURNS text
LANGUAGE sql STABLE RETURN
    lpad((row_no / 10000)::text, 3, '0') || '-' || lpad((row_no / 100 % 100)::text, 2, '0') || '-'
    || lpad((row_no % 100)::text, 2, '0');

CREATE FUNCTION pg_temp.person(row_no bigint) RETURNS text
LANGUAGE sql STABLE RETURN
    (ARRAY['Anna', 'José', 'Łukasz', 'Thị Hương', 'Zoë', 'Björn', 'María', 'Siân', 'Oğuz', 'Chloé', 'Søren', 'Jiří',
           'Grace', 'Minh', 'Noor', 'Емилия', '美咲', 'Ελένη', 'James', 'Wójciech'])[1 + pg_temp.pick(row_no, 1, 20)]
    || ' ' ||
    (ARRAY['Müller', 'Nguyễn', 'García', 'Nowak', 'O''Brien', 'Ångström', 'Dvořák', 'Smith', 'Jørgensen', 'Yılmaz',
           'Петров', '田中', 'Παπαδόπουλος', 'D''Angelo', 'Begum', 'Østergård', 'Fernández', 'Kovač', 'Johnson',
           'Lefèvre', 'Ștefănescu', 'Itoh', 'Weiß', 'Peña'])[1 + pg_temp.pick(row_no, 2, 24)];

CREATE FUNCTION pg_temp.street(row_no bigint, salt int) RETURNS text
LANGUAGE sql STABLE RETURN
    (1 + pg_temp.pick(row_no, salt, 9899))::text || ' ' ||
    (ARRAY['Cañada Rd', 'Königstraße', 'Main St', 'Vineyard Dr', 'Columbia Ave', 'Señora Ct', 'Clearwater Ave',
           'Court St', 'Rue de l’Église', 'Badger Mountain Loop'])[1 + pg_temp.pick(row_no, salt + 1, 10)];

CREATE FUNCTION pg_temp.day(row_no bigint, salt int) RETURNS date
LANGUAGE sql STABLE RETURN DATE '1995-01-01' + pg_temp.pick(row_no, salt, 11000)::int;

-- Microseconds matter, so they are there.
CREATE FUNCTION pg_temp.moment(row_no bigint, salt int) RETURNS timestamptz
LANGUAGE sql STABLE RETURN
    TIMESTAMPTZ '2010-01-01 00:00:00+00' + pg_temp.pick(row_no, salt, 500000000000000) * INTERVAL '1 microsecond';

CREATE FUNCTION pg_temp.money(row_no bigint, salt int, most bigint) RETURNS numeric
LANGUAGE sql STABLE RETURN (pg_temp.pick(row_no, salt, most * 100) / 100.0)::numeric(12,2);

CREATE FUNCTION pg_temp.uid(row_no bigint, salt int) RETURNS uuid
LANGUAGE sql STABLE RETURN
    md5(current_setting('demo.seed') || ':' || salt || ':' || row_no)::uuid;

-- Metes and bounds, 6-10 kB: full of numbers, so that it stays above 2 kB compressed and is moved out of the row.
CREATE FUNCTION pg_temp.metes_and_bounds(row_no bigint) RETURNS text
LANGUAGE sql STABLE RETURN (
    SELECT string_agg('thence N ' || pg_temp.pick(row_no * 1000 + course, 3, 90) || '°'
        || pg_temp.pick(row_no * 1000 + course, 4, 60) || ''' E ' || pg_temp.pick(row_no * 1000 + course, 5, 99999) / 100.0
        || ' ft to monument ' || pg_temp.uid(row_no * 1000 + course, 6), '; ' ORDER BY course)
    FROM generate_series(1, 66 + pg_temp.pick(row_no, 7, 36)) AS course);
