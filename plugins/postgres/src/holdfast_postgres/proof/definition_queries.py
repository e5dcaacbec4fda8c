"""The queries that a definition is read with: kind, schema, name, and the two texts of `definitions`.

Text that the server writes from a parse tree stands between marks (`printed`), with what `reparse` has to know of it.
"""

from holdfast_postgres.catalog import USER_SCHEMA
from holdfast_postgres.proof.printed import marked, options


def _own(catalog: str, alias: str) -> str:
    """The condition that an object belongs to no extension."""
    return (
        f"NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.{catalog}'::regclass "
        f"AND e.objid = {alias}.oid AND e.deptype = 'e')"
    )


# Of an extension's table the indexes and the like are its own: another version of it has others. Somebody else's are in
# no dump (`omissions`).
ON_OWN = """
    NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_class'::regclass
        AND e.objid = {} AND e.deptype = 'e')
"""

_DEFAULT = marked(
    "CASE WHEN a.attgenerated = '' THEN 'default ' ELSE 'generated ' END || c.oid || ' ' || a.attnum",
    "pg_get_expr(d.adbin, d.adrelid)",
)
# Columns of an inheriting table may change places in a restore. Of the attribute options only those of a user count:
# PostgreSQL 15.20 keeps a random pg_attver there, made anew with each table. An identity column may have
# got the default of a parent, which nobody reads and no dump has.
_COLUMNS = f"""
    SELECT string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attnotnull THEN 'not null' END, nullif(a.attidentity::text, ''),
            nullif(a.attgenerated::text, ''), a.attislocal),
            ', ' ORDER BY CASE WHEN h.heir THEN a.attname END, a.attnum) AS portable,
        string_agg(concat_ws(' ', a.attname, coalesce({_DEFAULT}, '-'),
            (SELECT l.collname FROM pg_collation l WHERE l.oid = a.attcollation), a.attstorage::text,
            nullif(coalesce(a.attstattarget, -1), -1), (SELECT string_agg(o, ',' ORDER BY o)
                FROM unnest(a.attoptions) o WHERE o LIKE 'n_distinct%'), {options("a.attfdwoptions")},
            a.attcompression::text, {{not_null}}), ', ' ORDER BY CASE WHEN h.heir THEN a.attname END, a.attnum) AS full
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        AND a.attidentity = ''
    CROSS JOIN (SELECT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid) AND NOT c.relispartition AS heir) h
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
"""

# How a type of C functions is kept.
_BASE_TYPE = """CASE WHEN t.typtype = 'b' THEN concat_ws(' ', t.typlen, t.typbyval, t.typalign, t.typstorage,
    t.typcategory, t.typispreferred, t.typdelim, t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin,
    t.typmodout, t.typanalyze) END"""
# Of the text in UTF-8, which is the encoding of our sessions; but in SQL_ASCII of bytes that may be none.
_HASHED = "encode(sha256(textsend({})), 'hex')"

QUERIES = {
    "schema": f"SELECT '', n.nspname, '', '' FROM pg_namespace n WHERE {USER_SCHEMA} AND {_own('pg_namespace', 'n')}",
    "table": f"""
        SELECT n.nspname, c.relname,
            concat_ws(' ', c.relkind, c.relpersistence, '(', k.portable, ')'),
            concat_ws(' ', k.full, CASE WHEN EXISTS (SELECT FROM pg_partitioned_table p WHERE p.partrelid = c.oid
                    AND p.partexprs IS NOT NULL)
                THEN {marked("'key ' || c.oid", "pg_get_partkeydef(c.oid)")} ELSE pg_get_partkeydef(c.oid) END,
                {marked("'bound ' || c.oid", "pg_get_expr(c.relpartbound, c.oid)")}, {options("c.reloptions")},
                c.relrowsecurity, c.relforcerowsecurity, c.relreplident, m.amname, nullif(c.reloftype, 0)::regtype,
                (SELECT {options("o.reloptions", "'toast ' || {}")} FROM pg_class o WHERE o.oid = c.reltoastrelid), (
                    SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno)
                    FROM pg_inherits i WHERE i.inhrelid = c.oid),
                (SELECT {options("f.ftoptions", "s.srvname || {}")} FROM pg_foreign_table f
                    JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid))
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am m ON m.oid = c.relam
        LEFT JOIN LATERAL ({_COLUMNS}) k ON true
        WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't' AND {USER_SCHEMA} AND {_own("pg_class", "c")}
    """,
    "view": f"""
        SELECT n.nspname, c.relname, concat_ws(' ', c.relkind, '(', k.portable, ')', c.relispopulated),
            concat_ws(' ', {marked("'view ' || c.oid", "pg_get_viewdef(c.oid)")}, {options("c.reloptions")}, k.full,
                {{new (SELECT nullif(m.amname, 'heap') FROM pg_am m WHERE m.oid = c.relam)}})
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN LATERAL ({_COLUMNS}) k ON true
        WHERE c.relkind IN ('v', 'm') AND c.relpersistence <> 't' AND {USER_SCHEMA} AND {_own("pg_class", "c")}
    """,
    "sequence": f"""
        SELECT n.nspname, c.relname,
            concat_ws(' ', format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache,
                s.seqcycle, (SELECT d.refobjid::regclass::text || '.' || a.attname FROM pg_depend d
                    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
                        AND d.refobjsubid > 0)), {{logged}}
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_sequence s ON s.seqrelid = c.oid
        WHERE c.relpersistence <> 't' AND {USER_SCHEMA} AND {_own("pg_class", "c")}
    """,
    "index": f"""
        SELECT n.nspname, c.relname,
            concat_ws(' ', i.indrelid::regclass, i.indisunique, i.indnkeyatts, i.indnatts, m.amname, i.indisvalid),
            concat_ws(' ', CASE WHEN i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
                THEN {marked("'index ' || c.oid", "pg_get_indexdef(c.oid)")} ELSE pg_get_indexdef(c.oid) END,
                i.indisclustered, i.indisreplident, (
                SELECT string_agg(a.attnum || ':' || a.attstattarget, ' ' ORDER BY a.attnum) FROM pg_attribute a
                WHERE a.attrelid = c.oid AND a.attstattarget > -1),
                {{new (SELECT h.inhparent::regclass FROM pg_inherits h WHERE h.inhrelid = c.oid)}})
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_am m ON m.oid = c.relam
        WHERE c.relpersistence <> 't' AND (i.indisvalid OR c.relkind = 'I') AND {USER_SCHEMA}
            AND {_own("pg_class", "c")} AND {{on_own i.indrelid}}
    """,
    "constraint": f"""
        SELECT n.nspname, concat_ws('.', r.relname, t.typname, c.conname),
            concat_ws(' ', c.contype, c.condeferrable, c.condeferred, c.convalidated,
                nullif(c.confrelid, 0)::regclass, (SELECT string_agg(a.attname, ', ' ORDER BY k.place)
                    FROM unnest(c.conkey) WITH ORDINALITY k(number, place)
                    JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number)),
            CASE WHEN c.contype IN ('c', 'x') THEN {marked("'constraint ' || c.oid", "pg_get_constraintdef(c.oid)")}
                ELSE pg_get_constraintdef(c.oid) END
        FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
        LEFT JOIN pg_class r ON r.oid = c.conrelid LEFT JOIN pg_type t ON t.oid = c.contypid
        WHERE c.contype IN ('c', 'f', 'p', 'u', 'x') AND c.conparentid = 0 AND {USER_SCHEMA}
            AND coalesce(r.relpersistence, 'p') <> 't'
            AND (r.oid IS NULL OR {_own("pg_class", "r")}) AND (t.oid IS NULL OR {_own("pg_type", "t")})
    """,
    "trigger": f"""
        SELECT n.nspname, r.relname || '.' || g.tgname,
            concat_ws(' ', g.tgtype, g.tgenabled, g.tgfoid::regproc, g.tgdeferrable, g.tginitdeferred),
            CASE WHEN g.tgqual IS NULL THEN pg_get_triggerdef(g.oid)
                ELSE {marked("'trigger ' || g.oid", "pg_get_triggerdef(g.oid)")} END
        FROM pg_trigger g JOIN pg_class r ON r.oid = g.tgrelid JOIN pg_namespace n ON n.oid = r.relnamespace
        WHERE NOT g.tgisinternal AND {USER_SCHEMA} AND {_own("pg_trigger", "g")}
            AND {{on_own g.tgrelid}}
    """,
    "rule": f"""
        SELECT n.nspname, r.relname || '.' || w.rulename, concat_ws(' ', w.ev_type, w.ev_enabled, w.is_instead),
            {marked("'rule ' || w.oid", "pg_get_ruledef(w.oid)")}
        FROM pg_rewrite w JOIN pg_class r ON r.oid = w.ev_class JOIN pg_namespace n ON n.oid = r.relnamespace
        WHERE w.rulename <> '_RETURN' AND {USER_SCHEMA} AND {_own("pg_rewrite", "w")}
            AND {{on_own w.ev_class}}
    """,
    "policy": f"""
        SELECT n.nspname, r.relname || '.' || p.polname, concat_ws(' ', p.polcmd, p.polpermissive),
            concat_ws(' ', {marked("'using ' || p.polrelid", "pg_get_expr(p.polqual, p.polrelid)")}, '/',
                {marked("'check ' || p.polrelid", "pg_get_expr(p.polwithcheck, p.polrelid)")})
        FROM pg_policy p JOIN pg_class r ON r.oid = p.polrelid JOIN pg_namespace n ON n.oid = r.relnamespace
        WHERE {USER_SCHEMA} AND {{on_own p.polrelid}}
    """,
    "routine": f"""
        SELECT n.nspname, p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
            concat_ws(' ', p.prokind, l.lanname, p.provolatile, p.proisstrict, p.prosecdef, p.proleakproof,
                p.proparallel, p.proretset, format_type(p.prorettype, NULL), p.proconfig::text, p.prosrc, p.probin),
            CASE WHEN p.prokind = 'a' THEN (SELECT concat_ws(' ', a.aggkind, a.aggtransfn, a.aggfinalfn, a.aggcombinefn,
                    format_type(a.aggtranstype, NULL), a.agginitval, a.aggmtransfn, a.aggsortop::regoperator,
                    a.aggtransspace, a.aggserialfn, a.aggdeserialfn, a.aggminvtransfn, a.aggmfinalfn, a.aggfinalextra,
                    a.aggfinalmodify, a.aggmfinalextra, a.aggmfinalmodify,
                    format_type(nullif(a.aggmtranstype, 0), NULL), a.aggmtransspace, a.aggminitval, a.aggnumdirectargs)
                FROM pg_aggregate a WHERE a.aggfnoid = p.oid)
            WHEN p.proargdefaults IS NULL AND {{no_body}} THEN pg_get_functiondef(p.oid)
            ELSE {marked("'routine ' || p.oid", "pg_get_functiondef(p.oid)")} END
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
        WHERE {USER_SCHEMA} AND {_own("pg_proc", "p")} AND NOT EXISTS (
            SELECT FROM pg_depend i WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid AND i.deptype = 'i')
    """,
    "type": f"""
        SELECT n.nspname, t.typname,
            concat_ws(' ', t.typtype, t.typnotnull, nullif(format_type(t.typbasetype, t.typtypmod), '-'),
                (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e
                    WHERE e.enumtypid = t.oid), k.portable, (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r
                    WHERE r.rngtypid = t.oid)),
            concat_ws(' ', CASE WHEN t.typdefaultbin IS NULL THEN t.typdefault
                ELSE {marked("'domain ' || t.oid", "pg_get_expr(t.typdefaultbin, 'pg_type'::regclass)")} END,
                {{filled}}, (SELECT l.collname FROM pg_collation l WHERE l.oid = t.typcollation), (
                SELECT concat_ws(' ', l.collname, o.opcname, r.rngcanonical, r.rngsubdiff)
                FROM pg_range r JOIN pg_opclass o ON o.oid = r.rngsubopc
                LEFT JOIN pg_collation l ON l.oid = r.rngcollation WHERE r.rngtypid = t.oid),
                {{new {_BASE_TYPE}}})
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
        LEFT JOIN LATERAL ({_COLUMNS}) k ON true
        WHERE t.typtype IN ('e', 'd', 'r', 'c', 'b') AND (c.oid IS NULL OR c.relkind = 'c') AND t.typelem = 0
            AND {USER_SCHEMA} AND {_own("pg_type", "t")}
    """,
    "statistics object": f"""
        SELECT n.nspname, s.stxname, s.stxrelid::regclass::text,
            concat_ws(' ', CASE WHEN {{no_expressions}} THEN pg_get_statisticsobjdef(s.oid)
                ELSE {marked("'statistics ' || s.oid", "pg_get_statisticsobjdef(s.oid)")} END,
                nullif(coalesce(s.stxstattarget, -1), -1))
        FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE {USER_SCHEMA}
    """,
    "operator": f"""
        SELECT n.nspname, concat(o.oprname, '(', format_type(nullif(o.oprleft, 0), NULL), ', ',
            format_type(nullif(o.oprright, 0), NULL), ')'), o.oprcode::text,
            concat_ws(' ', o.oprrest, o.oprjoin, o.oprcanmerge, o.oprcanhash, nullif(o.oprcom, 0)::regoperator, '/',
                nullif(o.oprnegate, 0)::regoperator)
        FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
        WHERE o.oprcode <> 0 AND {USER_SCHEMA} AND {_own("pg_operator", "o")}
    """,
    "operator class": f"""
        SELECT n.nspname, o.opcname || ' ' || m.amname, concat_ws(' ', format_type(o.opcintype, NULL), o.opcdefault),
            concat_ws(' ', f.opfname, format_type(nullif(o.opckeytype, 0), NULL))
        FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace JOIN pg_am m ON m.oid = o.opcmethod
        JOIN pg_opfamily f ON f.oid = o.opcfamily
        WHERE {USER_SCHEMA} AND {_own("pg_opclass", "o")}
    """,
    "operator family": f"""
        SELECT n.nspname, f.opfname || ' ' || m.amname, '', concat_ws(' / ', (
                SELECT string_agg(concat_ws(' ', a.amopstrategy, a.amopopr::regoperator, a.amoppurpose, s.opfname), ', '
                    ORDER BY a.amoplefttype::regtype::text{{c}}, a.amoprighttype::regtype::text{{c}}, a.amopstrategy)
                FROM pg_amop a LEFT JOIN pg_opfamily s ON s.oid = a.amopsortfamily WHERE a.amopfamily = f.oid), (
                SELECT string_agg(concat_ws(' ', p.amprocnum, p.amproc::regprocedure), ', '
                    ORDER BY p.amproclefttype::regtype::text{{c}}, p.amprocrighttype::regtype::text{{c}}, p.amprocnum)
                FROM pg_amproc p WHERE p.amprocfamily = f.oid))
        FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN pg_am m ON m.oid = f.opfmethod
        WHERE {USER_SCHEMA} AND {_own("pg_opfamily", "f")}
    """,
    "collation": f"""
        SELECT n.nspname, c.collname, concat_ws(' ', c.collprovider, c.collisdeterministic),
            concat_ws(' ', c.collcollate, c.collctype, to_jsonb(c) ->> 'colliculocale', to_jsonb(c) ->> 'colllocale',
                to_jsonb(c) ->> 'collicurules')
        FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
        WHERE {USER_SCHEMA} AND {_own("pg_collation", "c")}
    """,
    "text search configuration": f"""
        SELECT n.nspname, c.cfgname, c.cfgparser::text, (SELECT string_agg(concat_ws(' ', m.maptokentype, m.mapseqno,
                m.mapdict::regdictionary), ', ' ORDER BY m.maptokentype, m.mapseqno)
            FROM pg_ts_config_map m WHERE m.mapcfg = c.oid)
        FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace
        WHERE {USER_SCHEMA} AND {_own("pg_ts_config", "c")}
    """,
    "text search dictionary": f"""
        SELECT n.nspname, d.dictname, concat_ws(' ', t.tmplname, d.dictinitoption), ''
        FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace JOIN pg_ts_template t ON t.oid = d.dicttemplate
        WHERE {USER_SCHEMA} AND {_own("pg_ts_dict", "d")}
    """,
    "text search parser": f"""
        SELECT n.nspname, p.prsname, concat_ws(' ', p.prsstart, p.prstoken, p.prsend, p.prsheadline, p.prslextype), ''
        FROM pg_ts_parser p JOIN pg_namespace n ON n.oid = p.prsnamespace
        WHERE {USER_SCHEMA} AND {_own("pg_ts_parser", "p")}
    """,
    "text search template": f"""
        SELECT n.nspname, t.tmplname, concat_ws(' ', t.tmplinit, t.tmpllexize), ''
        FROM pg_ts_template t JOIN pg_namespace n ON n.oid = t.tmplnamespace
        WHERE {USER_SCHEMA} AND {_own("pg_ts_template", "t")}
    """,
    "conversion": f"""
        SELECT n.nspname, c.conname, concat_ws(' ', pg_encoding_to_char(c.conforencoding),
            pg_encoding_to_char(c.contoencoding), c.conproc, c.condefault), ''
        FROM pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace
        WHERE {USER_SCHEMA} AND {_own("pg_conversion", "c")}
    """,
    "language": f"""
        SELECT '', l.lanname, concat_ws(' ', l.lanpltrusted, nullif(l.lanplcallfoid, 0)::regproc,
            nullif(l.laninline, 0)::regproc, nullif(l.lanvalidator, 0)::regproc), ''
        FROM pg_language l WHERE l.lanispl AND {_own("pg_language", "l")}
    """,
    "access method": f"""
        SELECT '', m.amname, concat_ws(' ', m.amtype, m.amhandler), ''
        FROM pg_am m WHERE m.oid >= 16384 AND {_own("pg_am", "m")}
    """,
    "transform": f"""
        SELECT '', format_type(t.trftype, NULL) || ' for ' || l.lanname,
            concat_ws(' ', nullif(t.trffromsql, 0)::regprocedure, '/', nullif(t.trftosql, 0)::regprocedure), ''
        FROM pg_transform t JOIN pg_language l ON l.oid = t.trflang WHERE {_own("pg_transform", "t")}
    """,
    "extension": """
        SELECT '', e.extname, n.nspname, '' FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname <> 'plpgsql'
    """,
    "cast": f"""
        SELECT '', format_type(c.castsource, NULL) || ' to ' || format_type(c.casttarget, NULL),
            concat_ws(' ', nullif(c.castfunc, 0)::regprocedure, c.castcontext, c.castmethod), ''
        FROM pg_cast c WHERE c.oid >= 16384 AND {_own("pg_cast", "c")}
    """,
    "event trigger": f"""
        SELECT '', t.evtname, concat_ws(' ', t.evtevent, t.evtenabled, t.evtfoid::regproc, t.evttags::text), ''
        FROM pg_event_trigger t WHERE {_own("pg_event_trigger", "t")}
    """,
    "publication": """
        SELECT '', p.pubname, concat_ws(' ', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate,
            p.pubviaroot, (SELECT string_agg(r.prrelid::regclass::text, ', ' ORDER BY r.prrelid::regclass::text{c})
                FROM pg_publication_rel r WHERE r.prpubid = p.oid)), {parts}
        FROM pg_publication p
    """,
    "foreign data wrapper": f"""
        SELECT '', w.fdwname, concat_ws(' ', nullif(w.fdwhandler, 0)::regproc, '/', nullif(w.fdwvalidator, 0)::regproc),
            {options("w.fdwoptions", _HASHED)}
        FROM pg_foreign_data_wrapper w WHERE {_own("pg_foreign_data_wrapper", "w")}
    """,
    "foreign server": f"""
        SELECT '', s.srvname, concat_ws(' ', w.fdwname, s.srvtype, s.srvversion),
            {options("s.srvoptions", _HASHED)}
        FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
        WHERE {_own("pg_foreign_server", "s")}
    """,
}
# What a publication has of schemas, columns and rows: PostgreSQL 15 and later.
PARTS = f"""concat_ws(' / ', (
    SELECT string_agg(s.pnnspid::regnamespace::text, ', ' ORDER BY s.pnnspid::regnamespace::text{{c}})
    FROM pg_publication_namespace s WHERE s.pnpubid = p.oid), (
    SELECT string_agg(concat_ws(' ', r.prrelid::regclass,
            {marked("'filter ' || r.prrelid", "pg_get_expr(r.prqual, r.prrelid)")}, (
            SELECT string_agg(a.attname, ',' ORDER BY a.attnum) FROM pg_attribute a
            WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs))), ', ' ORDER BY r.prrelid::regclass::text{{c}})
    FROM pg_publication_rel r WHERE r.prpubid = p.oid), {{published}})"""
# Of its generated columns: PostgreSQL 18 and later.
PUBLISHED = "'generated ' || nullif(to_jsonb(p) ->> 'pubgencols', 'n')"
# The constraint that a column or a domain is not null, which has a name since versions 18 and 17. One that the server
# chooses itself is unique in a schema, and may have another number behind it once it was restored: pg_dump does not
# write it, and a partition that it makes before its parent takes that of its parent.
NOT_NULL = """(
    SELECT nullif(concat_ws(' ', CASE WHEN NOT starts_with(n.conname, {chosen})
            OR substr(n.conname, length({chosen}) + 1) !~ '^[0-9]*$' THEN 'constraint ' || n.conname END,
        CASE WHEN n.connoinherit THEN 'no inherit' END, CASE WHEN NOT n.convalidated THEN 'not valid' END), '')
    FROM pg_constraint n WHERE n.contype = 'n' AND {condition})"""
_JOINED = """coalesce(string_agg(said, E'\\n' ORDER BY said COLLATE "C"), '')"""
COMMENTS = f"""
SELECT count(*), {_HASHED.format(_JOINED)}
FROM (
    SELECT concat_ws(' ', i.type, i.identity, d.description) AS said
    FROM pg_description d, LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) i
    WHERE d.objoid >= 16384 AND d.classoid NOT IN (
            'pg_extension'::regclass, 'pg_namespace'::regclass, 'pg_subscription'::regclass)
        AND NOT EXISTS (SELECT FROM pg_depend e
            WHERE e.classid = d.classoid AND e.objid = d.objoid AND e.deptype = 'e')
) comments
"""
