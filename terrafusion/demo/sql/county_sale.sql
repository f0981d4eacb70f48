INSERT INTO public.sale
SELECT n, pg_temp.uid(n, 60), pg_temp.apn(1 + pg_temp.pick(n, 61, current_setting('demo.parcels')::bigint)),
       pg_temp.day(n, 62),
       CASE WHEN pg_temp.pick(n, 63, 9) > 0 THEN pg_temp.money(n, 64, 3000000) END,
       pg_temp.person(n + 7777777),
       (ARRAY['SWD', 'QCD', 'WD', 'DEED'])[1 + pg_temp.pick(n, 65, 4)],
       (ARRAY[true, false, NULL])[1 + pg_temp.pick(n, 66, 3)],
       CASE WHEN pg_temp.pick(n, 67, 4) > 0 THEN pg_temp.pick(n, 68, 1000000) / 654321.0::float8 END,
       pg_temp.moment(n, 69)
FROM generate_series(1, current_setting('demo.parcels')::bigint * 3 / 2) AS n;
