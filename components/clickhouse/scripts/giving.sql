-- How rows are given to a table as they were taken: none is collapsed, left out as known already, or computed anew.
-- ClickHouse documentation, "Session Settings", "MergeTree tables settings".
SET
    optimize_on_insert = 0,
    deduplicate_insert = 'disable',
    deduplicate_insert_select = 'disable',
    insert_allow_materialized_columns = 1,
    max_partitions_per_insert_block = 0,
    max_table_size_to_drop = 0,
    max_insert_threads = 1,
    max_threads = 2,
    flatten_nested = 0,
    allow_suspicious_codecs = 1,
    allow_suspicious_fixed_string_types = 1,
    allow_suspicious_indices = 1,
    allow_suspicious_low_cardinality_types = 1,
    allow_suspicious_primary_key = 1,
    allow_suspicious_ttl_expressions = 1,
    allow_suspicious_types_in_order_by = 1,
    allow_suspicious_variant_types = 1;
