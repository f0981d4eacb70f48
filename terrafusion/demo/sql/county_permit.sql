INSERT INTO public.permit
SELECT (2000 + n % 26)::smallint, n::int,
       pg_temp.apn(1 + pg_temp.pick(n, 71, current_setting('demo.parcels')::bigint)),
       CASE WHEN pg_temp.pick(n, 72, 10) > 0 THEN
           (ARRAY['Re-roof', 'Façade repair', 'New dwelling', 'Pergola – 12′', 'Solar (5 kW)'])[1 + pg_temp.pick(n, 73, 5)] END,
       (ARRAY['OPEN', 'FINAL', 'EXPIRED', NULL])[1 + pg_temp.pick(n, 74, 4)],
       CASE WHEN pg_temp.pick(n, 75, 7) > 0 THEN pg_temp.money(n, 76, 400000) END,
       pg_temp.day(n, 77),
       CASE WHEN pg_temp.pick(n, 78, 2) > 0 THEN ARRAY[pg_temp.pick(n, 79, 365)::int, pg_temp.pick(n, 80, 365)::int] END,
       CASE WHEN pg_temp.pick(n, 81, 3) > 0 THEN jsonb_build_object(
           'contractor', pg_temp.person(n + 5555555), 'bond', pg_temp.pick(n, 82, 2) = 0,
           'sheets', jsonb_build_array(pg_temp.pick(n, 83, 9), NULL, 'A–1')) END,
       CASE WHEN pg_temp.pick(n, 84, 2) > 0 THEN pg_temp.moment(n, 85) END
FROM generate_series(1, current_setting('demo.parcels')::bigint / 2) AS n;
