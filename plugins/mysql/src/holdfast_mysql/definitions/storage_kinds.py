"""Kinds of clauses that say how and where a table is kept; all backups read them with the options of the engine."""

# By the word that `-o strip` takes: the options `NAME = VALUE` of a table or partition.
OPTIONS = {
    "compression": ("compression", "page_compressed", "page_compression_level"),
    "data_directory": ("data directory", "index directory"),
    "encryption": ("encryption", "encrypted", "encryption_key_id"),
    "engine": ("engine", "insert_method", "connection"),
    "engine_attribute": ("engine_attribute", "secondary_engine_attribute", "secondary_engine", "autoextend_size"),
    "page_checksum": ("page_checksum", "transactional"),
    "row_format": ("row_format", "key_block_size"),
    "tablespace": ("tablespace",),
}
KINDS = tuple(OPTIONS)
