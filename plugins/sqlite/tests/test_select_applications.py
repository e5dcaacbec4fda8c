"""What is chosen from schemas as applications have them is what was named, and what refers to the rest is told."""

from collections.abc import Callable
from typing import Any

import pytest

Select = Callable[..., tuple[set[str], list[str]]]


def plain(*names: str) -> str:
    return "".join(
        f'CREATE TABLE "{name}"(id INTEGER PRIMARY KEY, x); INSERT INTO "{name}" VALUES (7, 1);' for name in names
    )


FTS5 = ("config", "content", "data", "docsize", "idx")
FTS4 = ("content", "docsize", "segdir", "segments", "stat")


SIGNAL_DESKTOP = (
    "CREATE TABLE conversations(id STRING PRIMARY KEY ASC, json TEXT);"
    "CREATE TABLE messages(rowid INTEGER PRIMARY KEY ASC, id TEXT UNIQUE, body TEXT,"
    " conversationId TEXT, isErased INTEGER, isViewOnce INTEGER, storyId TEXT);"
    "CREATE TABLE mentions(messageId REFERENCES messages(id) ON DELETE CASCADE, mentionAci STRING);"
    + plain(*(f"messages_fts_{suffix}" for suffix in ("content", "data", "idx", "docsize", "config")))
    + "CREATE VIRTUAL TABLE messages_fts USING fts5(body, tokenize = 'signal_tokenizer');"
    + "CREATE TRIGGER messages_on_insert AFTER INSERT ON messages WHEN new.isViewOnce IS NOT 1 AND new.storyId IS NULL"
    " BEGIN INSERT INTO messages_fts(rowid, body) VALUES (new.rowid, new.body); END;"
    "CREATE TRIGGER messages_on_delete AFTER DELETE ON messages"
    " BEGIN DELETE FROM messages_fts WHERE rowid = old.rowid; DELETE FROM mentions WHERE messageId = old.id; END;"
)
SIGNAL_ANDROID = (
    "CREATE TABLE message(_id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT, thread_id INTEGER);"
    "INSERT INTO message(body, thread_id) VALUES ('a word', 3);"
    "CREATE VIRTUAL TABLE message_fts USING fts5(body, thread_id UNINDEXED, content=message, content_rowid=_id);"
    "CREATE TABLE message_fts_content_log(x); INSERT INTO message_fts(message_fts) VALUES ('rebuild');"
    "CREATE TRIGGER message_ai AFTER INSERT ON message BEGIN"
    " INSERT INTO message_fts(rowid, body, thread_id) VALUES (new._id, new.body, new.thread_id); END;"
)
WHATSAPP = (
    "CREATE TABLE message(_id INTEGER PRIMARY KEY, text_data TEXT);"
    "CREATE VIRTUAL TABLE message_ftsv2 USING FTS4(content, fts_jid, fts_namespace);"
    "CREATE TABLE message_ftsv2_config(key, value); CREATE VIRTUAL TABLE messages_fts USING FTS3();"
    "CREATE TABLE messages_fts_docsize(mine);"
    "CREATE VIEW available_message_view AS SELECT * FROM message WHERE _id NOT IN (SELECT docid FROM message_ftsv2);"
)
JOPLIN = (
    "CREATE TABLE notes(id TEXT PRIMARY KEY, title TEXT);"
    "CREATE TABLE notes_normalized(id TEXT, title TEXT, body TEXT);"
    'CREATE VIRTUAL TABLE notes_fts USING fts4(content="notes_normalized", notindexed="id", id, title, body);'
    + plain("notes_spellfix_vocab", "notes_spellfix_history")
    + "CREATE VIRTUAL TABLE notes_spellfix USING spellfix1;"
)
PLEX_TRIGGER = "fts4_metadata_titles_before_update_icu"
PLEX = (
    "CREATE TABLE metadata_items(id INTEGER PRIMARY KEY, title, title_sort, original_title, library_section_id);"
    + plain(*(f"fts4_metadata_titles_icu_{suffix}" for suffix in ("segments", "segdir", "docsize", "stat")))
    + "CREATE VIRTUAL TABLE fts4_metadata_titles_icu USING fts4(content='metadata_items', title, title_sort,"
    " original_title, tokenize=collating);" + f"CREATE TRIGGER {PLEX_TRIGGER} BEFORE UPDATE ON metadata_items BEGIN"
    " DELETE FROM fts4_metadata_titles_icu WHERE docid=old.rowid; END;"
)
FIREFOX = (
    plain("vec_history_mapping", "vec_history_info", "vec_history_chunks", "vec_history_rowids")
    + plain("vec_history_vector_chunks00", "vec_history_vector_chunks01")
    + "CREATE VIRTUAL TABLE vec_history USING vec0(\n embedding FLOAT[512],\n embedding_coarse bit[512]\n);"
)
GEOPACKAGE = """
CREATE TABLE gpkg_spatial_ref_sys(srs_id INTEGER PRIMARY KEY);
CREATE TABLE gpkg_contents(table_name TEXT PRIMARY KEY, srs_id INTEGER REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns(table_name TEXT PRIMARY KEY, column_name TEXT, CONSTRAINT fk_gc_tn FOREIGN KEY
 (table_name) REFERENCES gpkg_contents(table_name));
CREATE TABLE roads(fid INTEGER PRIMARY KEY AUTOINCREMENT, geom LINESTRING, name TEXT);
CREATE TABLE rtree_roads_geom_history(fid, mine);
CREATE VIRTUAL TABLE "rtree_roads_geom" USING rtree(id, minx, maxx, miny, maxy);
CREATE TRIGGER "rtree_roads_geom_insert" AFTER INSERT ON "roads"
 WHEN (new."geom" NOT NULL AND NOT ST_IsEmpty(NEW."geom")) BEGIN
 INSERT OR REPLACE INTO "rtree_roads_geom" VALUES (NEW."fid",
 ST_MinX(NEW."geom"), ST_MaxX(NEW."geom"),
 ST_MinY(NEW."geom"), ST_MaxY(NEW."geom")); END;
"""
SPATIALITE = (
    "CREATE TABLE geometry_columns(f_table_name TEXT, f_geometry_column TEXT);"
    "CREATE TABLE roads(id INTEGER PRIMARY KEY, geom);"
    "CREATE VIRTUAL TABLE idx_roads_geom USING rtree(pkid, xmin, xmax, ymin, ymax); CREATE TABLE knn_notes(x);"
    "CREATE VIRTUAL TABLE SpatialIndex USING VirtualSpatialIndex();"
    "CREATE VIRTUAL TABLE KNN USING VirtualKNN();"
    "CREATE VIRTUAL TABLE cache_roads_geom USING MbrCache('roads', 'geom');"
    "CREATE VIRTUAL TABLE roads_net USING VirtualNetwork('roads_net_data');"
    + plain("roads_net_data")
    + """CREATE TRIGGER "ggi_roads_geom" BEFORE INSERT ON "roads" FOR EACH ROW BEGIN SELECT RAISE(ROLLBACK, 'no')
    WHERE (SELECT f_geometry_column FROM geometry_columns WHERE Lower(f_table_name) = Lower('roads') AND
    GeometryConstraints(NEW."geom", 1, 4326) = 1) IS NULL; END;
    CREATE TRIGGER "gii_roads_geom" AFTER INSERT ON "roads" FOR EACH ROW BEGIN
    DELETE FROM "idx_roads_geom" WHERE pkid=NEW.ROWID;
    SELECT RTreeAlign('idx_roads_geom', NEW.ROWID, NEW."geom"); END;"""
)
CHAT = """
CREATE TABLE message(ROWID INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT, attachment TEXT);
CREATE TABLE attachment(ROWID INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT);
CREATE TABLE message_attachment_join(message_id INTEGER REFERENCES message (ROWID) ON DELETE CASCADE,
 attachment_id INTEGER REFERENCES Attachment (ROWID) ON DELETE CASCADE);
CREATE TABLE deleted_messages(ROWID INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT NOT NULL);
CREATE TRIGGER after_delete_on_message AFTER DELETE ON Message BEGIN
 SELECT after_delete_message_plugin(OLD.ROWID, OLD.guid, OLD.attachment); END;
CREATE TRIGGER add_to_deleted_messages AFTER DELETE ON message BEGIN
 INSERT INTO deleted_messages (guid) VALUES (OLD.guid); END;
"""
HOME_ASSISTANT = """
CREATE TABLE event_data(data_id INTEGER PRIMARY KEY, shared_data TEXT);
CREATE TABLE states_meta(metadata_id INTEGER NOT NULL, entity_id VARCHAR(255), PRIMARY KEY (metadata_id));
CREATE TABLE states(state_id INTEGER PRIMARY KEY, state, old_state_id INTEGER, metadata_id INTEGER,
 FOREIGN KEY(old_state_id) REFERENCES states (state_id), FOREIGN KEY(metadata_id) REFERENCES states_meta (metadata_id));
CREATE TABLE statistics_meta(id INTEGER PRIMARY KEY, statistic_id);
CREATE TABLE statistics(id INTEGER PRIMARY KEY, metadata_id INTEGER, FOREIGN KEY(metadata_id) REFERENCES
 statistics_meta (id) ON DELETE CASCADE);
CREATE TABLE statistics_short_term(id INTEGER PRIMARY KEY, metadata_id INTEGER REFERENCES "Statistics_Meta");
"""
SQLITE_UTILS = """
CREATE TABLE [dogs] ([id] INTEGER PRIMARY KEY, [name] TEXT); CREATE TABLE [dogs_fts_content] (x);
CREATE VIRTUAL TABLE [dogs_fts] USING FTS5 (
                [name],
                content=[dogs]
            );
CREATE TABLE [_counts] ([table] TEXT PRIMARY KEY, count INTEGER DEFAULT 0);
CREATE TRIGGER [dogs_counts_insert] AFTER INSERT ON [dogs]
BEGIN INSERT OR REPLACE INTO [_counts] VALUES ('dogs',
 COALESCE((SELECT count FROM [_counts] WHERE [table] = 'dogs'), 0) + 1);
END;
"""
CALIBRE = (
    "CREATE TABLE books_text(id INTEGER PRIMARY KEY, searchable_text TEXT);"
    "CREATE TABLE dirtied_formats(id INTEGER PRIMARY KEY);"
    + plain(*(f"books_fts_{suffix}" for suffix in ("data", "idx", "docsize", "config")))
    + "CREATE VIRTUAL TABLE books_fts USING fts5(searchable_text, content = 'books_text',"
    " content_rowid = 'id', tokenize = 'calibre remove_diacritics 2');" + "CREATE TABLE books_fts_content(mine);"
)
SPELLING = (
    "CREATE TABLE Chapters_FTS_SpellFix_EditCost(iLang INT, cFrom TEXT, cTo TEXT, iCost INT);"
    + plain("Chapters_FTS_SpellFix_vocab")
    + "CREATE VIRTUAL TABLE Chapters_FTS_SpellFix USING spellfix1(edit_cost_table=Chapters_FTS_SpellFix_EditCost);"
)
VOCABULARY = """
CREATE VIRTUAL TABLE docs USING fts5(b); INSERT INTO docs VALUES ('alpha');
CREATE VIRTUAL TABLE terms USING fts5vocab(docs, row);
CREATE TABLE terms_blocked(w); CREATE VIRTUAL TABLE old USING fts4(b);
CREATE VIRTUAL TABLE old_terms USING fts4aux(old);
CREATE VIEW common AS SELECT term FROM terms WHERE doc > 5; CREATE VIEW docs_view AS SELECT 'terms' AS docs;
"""


def with_suffixes(name: str, suffixes: tuple[str, ...]) -> set[str]:
    return {name, *(f"{name}_{suffix}" for suffix in suffixes)}


CASES: list[tuple[str, dict[str, Any], set[str], list[str]]] = [
    (
        SIGNAL_DESKTOP, {"exclude": ("messages_fts",)}, {"conversations", "messages", "mentions"},
        ["trigger messages_on_insert is restored and refers to messages_fts, which is not",
         "trigger messages_on_delete is restored and refers to messages_fts, which is not"],
    ),
    (
        SIGNAL_DESKTOP, {"exclude": ("messages",)},
        {"conversations", "mentions", *with_suffixes("messages_fts", FTS5)},
        ["table mentions is restored and its foreign key refers to messages, which is not"],
    ),
    (
        SIGNAL_ANDROID, {"select": ("message_fts",)},
        with_suffixes("message_fts", ("config", "data", "docsize", "idx")),
        ["virtual table message_fts is restored and reads message, which is not"],
    ),
    (
        SIGNAL_ANDROID, {"exclude": ("message_fts",)}, {"message", "message_fts_content_log"},
        ["trigger message_ai is restored and refers to message_fts, which is not"],
    ),
    (
        WHATSAPP, {"exclude": ("message_ftsv2", "MESSAGES_FTS")},
        {"message", "message_ftsv2_config", "messages_fts_docsize", "available_message_view"},
        ["view available_message_view is restored and refers to message_ftsv2, which is not"],
    ),
    (WHATSAPP, {"select": ("message_ftsv2_config",)}, {"message_ftsv2_config"}, []),
    (WHATSAPP, {"select": ("messages_fts",)}, with_suffixes("messages_fts", ("content", "segdir", "segments")), []),
    (
        JOPLIN, {"select": ("notes_fts", "notes_spellfix")},
        {*with_suffixes("notes_fts", ("docsize", "segdir", "segments", "stat")),
         "notes_spellfix", "notes_spellfix_vocab"},
        ["virtual table notes_fts is restored and reads notes_normalized, which is not"],
    ),
    (JOPLIN, {"exclude": ("notes_fts", "notes_spellfix")}, {"notes", "notes_normalized", "notes_spellfix_history"}, []),
    (
        PLEX, {"select": ("metadata_items",)}, {"metadata_items"},
        [f"trigger {PLEX_TRIGGER} is restored and refers to fts4_metadata_titles_icu, which is not"],
    ),
    (
        PLEX, {"exclude": ("metadata_items",)}, with_suffixes("fts4_metadata_titles_icu", FTS4[1:]),
        ["virtual table fts4_metadata_titles_icu is restored and reads metadata_items, which is not"],
    ),
    (FIREFOX, {"exclude": ("vec_history",)}, {"vec_history_mapping"}, []),
    (
        FIREFOX, {"select": ("vec_history",)},
        with_suffixes("vec_history", ("info", "chunks", "rowids", "vector_chunks00", "vector_chunks01")), [],
    ),
    (
        GEOPACKAGE, {"select": ("roads",)}, {"roads"},
        ["trigger rtree_roads_geom_insert is restored and refers to rtree_roads_geom, which is not"],
    ),
    (
        GEOPACKAGE, {"exclude": ("rtree_roads_geom", "gpkg_contents")},
        {"gpkg_spatial_ref_sys", "gpkg_geometry_columns", "roads", "rtree_roads_geom_history"},
        ["table gpkg_geometry_columns is restored and its foreign key refers to gpkg_contents, which is not",
         "trigger rtree_roads_geom_insert is restored and refers to rtree_roads_geom, which is not"],
    ),
    (
        SPATIALITE, {"select": ("roads", "*_roads_geom")},
        {"roads", "cache_roads_geom", *with_suffixes("idx_roads_geom", ("node", "parent", "rowid"))},
        ["trigger ggi_roads_geom is restored and refers to geometry_columns, which is not"],
    ),
    (
        SPATIALITE, {"exclude": ("KNN", "roads_net_data", "roads")},
        {"geometry_columns", "knn_notes", "SpatialIndex", "cache_roads_geom", "roads_net",
         *with_suffixes("idx_roads_geom", ("node", "parent", "rowid"))},
        ["virtual table cache_roads_geom is restored and reads roads, which is not",
         "virtual table roads_net is restored and reads roads_net_data, which is not"],
    ),
    (
        CHAT, {"select": ("message", "message_attachment_join")}, {"message", "message_attachment_join"},
        ["table message_attachment_join is restored and its foreign key refers to attachment, which is not",
         "trigger add_to_deleted_messages is restored and refers to deleted_messages, which is not"],
    ),
    (
        HOME_ASSISTANT, {"exclude": ("states_meta", "statistics_meta", "event*")},
        {"states", "statistics", "statistics_short_term"},
        ["table states is restored and its foreign key refers to states_meta, which is not",
         "table statistics is restored and its foreign key refers to statistics_meta, which is not",
         "table statistics_short_term is restored and its foreign key refers to statistics_meta, which is not"],
    ),
    (
        SQLITE_UTILS, {"exclude": ("dogs_fts", "_counts")}, {"dogs", "dogs_fts_content"},
        ["trigger dogs_counts_insert is restored and refers to _counts, which is not"],
    ),
    (CALIBRE, {"exclude": ("books_fts",)}, {"books_text", "dirtied_formats", "books_fts_content"}, []),
    (SPELLING, {"exclude": ("Chapters_FTS_SpellFix",)}, {"Chapters_FTS_SpellFix_EditCost"}, []),
    (
        SPELLING, {"select": ("Chapters_FTS_SpellFix",)}, {"Chapters_FTS_SpellFix", "Chapters_FTS_SpellFix_vocab"},
        ["virtual table Chapters_FTS_SpellFix is restored and reads Chapters_FTS_SpellFix_EditCost, which is not"],
    ),
    (
        VOCABULARY, {"exclude": ("docs", "old")}, {"terms", "terms_blocked", "old_terms", "common", "docs_view"},
        ["virtual table terms is restored and reads docs, which is not",
         "virtual table old_terms is restored and reads old, which is not"],
    ),
    (
        VOCABULARY, {"exclude": ("terms",)},
        {*with_suffixes("docs", FTS5), *with_suffixes("old", FTS4), "terms_blocked", "old_terms", "common",
         "docs_view"},
        ["view common is restored and refers to terms, which is not"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("script", "choice", "kept", "told"), CASES)
def test_what_is_named_is_chosen_with_what_is_its_own(
    script: str, choice: dict[str, Any], kept: set[str], told: list[str], select: Select
) -> None:
    assert select(script, **choice) == (kept, told)
