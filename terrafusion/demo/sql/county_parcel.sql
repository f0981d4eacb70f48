INSERT INTO public.parcel
SELECT pg_temp.apn(n), owner_id, pg_temp.person(owner_id),
       CASE WHEN pg_temp.pick(n, 31, 25) > 0 THEN pg_temp.street(n, 32) END,
       lpad(pg_temp.pick(n, 34, 900)::text, 4, '0'),
       (ARRAY['RESIDENTIAL', 'FARM', 'COMMERCIAL', 'VIÑEDO', 'EXEMPT', NULL])[1 + pg_temp.pick(n, 35, 6)],
       pg_temp.money(n, 36, 2000000),
       CASE WHEN pg_temp.pick(n, 37, 10) > 0 THEN pg_temp.pick(n, 38, 4000000) / 7919.0::float8 END,
       CASE WHEN pg_temp.pick(n, 39, 8) > 0 THEN (1890 + pg_temp.pick(n, 40, 136))::smallint END,
       pg_temp.pick(n, 41, 30) = 0,
       CASE WHEN pg_temp.pick(n, 42, 4) > 0 THEN pg_temp.day(n, 43) END,
       CASE WHEN pg_temp.pick(n, 44, 5) > 0 THEN jsonb_build_object(
           'rooms', pg_temp.pick(n, 45, 12), 'roof', (ARRAY['tile', 'shingle', 'métal'])[1 + pg_temp.pick(n, 46, 3)],
           'view', pg_temp.pick(n, 47, 2) = 0, 'rate', pg_temp.pick(n, 48, 10000) / 1000.0) END,
       CASE pg_temp.pick(n, 49, 4)
           WHEN 0 THEN NULL WHEN 1 THEN ARRAY['irrigated'] ELSE ARRAY['río', 'no "build" zone', 'a,b\c'] END,
       CASE WHEN pg_temp.pick(n, 50, 3) > 0
           THEN ARRAY[pg_temp.pick(n, 51, 90)::int, NULL, pg_temp.pick(n, 52, 90)::int] END,
       CASE WHEN n % 50 = 7 THEN pg_temp.metes_and_bounds(n)
            WHEN pg_temp.pick(n, 53, 6) > 0 THEN 'Lot ' || n % 100 || ', Block ' || n / 100 % 100 || ', §' || n / 10000 END,
       pg_temp.moment(n, 54)
FROM (SELECT n, 1 + pg_temp.pick(n, 30, current_setting('demo.parcels')::bigint) AS owner_id
      FROM generate_series(1, current_setting('demo.parcels')::bigint) AS n) AS numbered;
