"""What servers say of themselves that there can be in a database, and what was decided about each of it."""

from support.servers.mariadb import MariaDB

# What was decided: it is a definition in the scripts, a part of a table's or a view's definition, of the accounts
# (`-o users=true`), told of by a warning and a fact; or it belongs to the server, describes a moment of it, or is
# derived from the rest.
STATEMENTS = {
    "dumped": "db event function library package package_body procedure sequence table trigger view",
    "part": "index",
    "accounts": "role user",
    "told": "server spatial_reference_system udf",
    # Masking policies are a component of MySQL Enterprise, and columns name them in their table's definition.
    "server": "masking_policy resource_group",
    "moment": "temporary_table",
}
SHOWN = {
    "dumped": "db event func library package package_body proc table trigger",
    "accounts": "user",
    "told": "server",
    "server": "masking_policy",
}
TABLES = {
    "dumped": """
        column_statistics columns events libraries routines schemata schemata_extensions sequences tables triggers views
    """,
    "part": """
        check_constraints columns_extensions geometry_columns json_duality_views json_duality_view_columns
        json_duality_view_links json_duality_view_tables key_column_usage key_period_usage parameters partitions periods
        referential_constraints routine_libraries statistics st_geometry_columns table_constraints
        table_constraints_extensions tables_extensions view_routine_usage view_table_usage
    """,
    "accounts": """
        administrable_role_authorizations applicable_roles column_privileges enabled_roles role_column_grants
        role_routine_grants role_table_grants schema_privileges table_privileges user_attributes user_privileges users
    """,
    "told": "st_spatial_reference_systems",
    "server": """
        all_plugins character_sets collation_character_set_applicability collations engines files keywords
        optimizer_costs plugins resource_groups spatial_ref_sys sql_functions st_units_of_measure system_variables
        tablespaces tablespaces_extensions
    """,
    "moment": """
        client_statistics global_status global_variables index_statistics key_caches optimizer_trace processlist
        profiling session_status session_variables slave_status table_statistics thread_pool_groups thread_pool_queues
        thread_pool_stats thread_pool_waits user_statistics user_variables
    """,
}
# Columns of what is dumped or a part: one that is new may be a property that no definition shows.
COLUMNS = {
    "tables": """
        table_catalog table_schema table_name table_type engine version row_format table_rows avg_row_length data_length
        max_data_length index_length data_free auto_increment create_time update_time check_time table_collation
        checksum create_options table_comment max_index_length temporary
    """,
    "columns": """
        table_catalog table_schema table_name column_name ordinal_position column_default is_nullable data_type
        character_maximum_length character_octet_length numeric_precision numeric_scale datetime_precision
        character_set_name collation_name column_type column_key extra privileges column_comment is_generated
        generation_expression is_system_time_period_start is_system_time_period_end srs_id
    """,
    "statistics": """
        table_catalog table_schema table_name non_unique index_schema index_name seq_in_index column_name collation
        cardinality sub_part packed nullable index_type comment index_comment ignored is_visible expression
    """,
    "routines": """
        specific_name routine_catalog routine_schema routine_name routine_type data_type character_maximum_length
        character_octet_length numeric_precision numeric_scale datetime_precision character_set_name collation_name
        dtd_identifier routine_body routine_definition external_name external_language parameter_style is_deterministic
        sql_data_access sql_path security_type created last_altered sql_mode routine_comment definer
        character_set_client collation_connection database_collation
    """,
    "triggers": """
        trigger_catalog trigger_schema trigger_name event_manipulation event_object_catalog event_object_schema
        event_object_table action_order action_condition action_statement action_orientation action_timing
        action_reference_old_table action_reference_new_table action_reference_old_row action_reference_new_row created
        sql_mode definer character_set_client collation_connection database_collation
    """,
    "events": """
        event_catalog event_schema event_name definer time_zone event_body event_definition event_type execute_at
        interval_value interval_field sql_mode starts ends status on_completion created last_altered last_executed
        event_comment originator character_set_client collation_connection database_collation
    """,
    "views": """
        table_catalog table_schema table_name view_definition check_option is_updatable definer security_type
        character_set_client collation_connection algorithm
    """,
    "schemata": """
        catalog_name schema_name default_character_set_name default_collation_name sql_path schema_comment
        default_encryption
    """,
    "schemata_extensions": "catalog_name schema_name options",
    "libraries": """
        library_catalog library_schema library_name library_definition language created last_altered sql_mode
        library_comment creator
    """,
    "sequences": """
        sequence_catalog sequence_schema sequence_name data_type numeric_precision numeric_precision_radix numeric_scale
        start_value minimum_value maximum_value increment cycle_option
    """,
    "column_statistics": "schema_name table_name column_name histogram",
}


def undecided(server: MariaDB) -> list[str]:
    """Kinds of objects and properties of them that the server lists, and nobody decided about."""
    names = server.rows("SELECT table_name FROM information_schema.tables WHERE table_schema='information_schema'")
    # InnoDB tells of its own files and memory.
    tables = {str(name).lower() for (name,) in names if not str(name).lower().startswith("innodb_")}
    columns = server.rows(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema='information_schema'"
    )
    return [
        *_new("statement CREATE", _commands(server, "Com_create_"), STATEMENTS),
        *_new("statement SHOW CREATE", _commands(server, "Com_show_create_"), SHOWN),
        *_new("table", tables, TABLES),
        *(
            f"column {table}.{column}".lower()
            for table, column in columns
            if str(column).lower() not in COLUMNS.get(str(table).lower(), str(column).lower()).split()
        ),
    ]


def _commands(server: MariaDB, prefix: str) -> set[str]:
    rows = server.rows(f"SHOW GLOBAL STATUS LIKE '{prefix}%'".replace("_", "\\_"))
    return {str(name).removeprefix(prefix) for name, _ in rows}


def _new(what: str, listed: set[str], decided: dict[str, str]) -> list[str]:
    known = {name for names in decided.values() for name in names.split()}
    return [f"{what} {name}" for name in sorted(listed - known)]
