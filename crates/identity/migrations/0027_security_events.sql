-- What was noticed and looks like an attack or a misuse. The platform's own, such as scans by strangers, are under the
-- tenant 0, which is nobody's.
create table security_event (
    id bigint primary key,
    tenant_id bigint not null,
    kind text not null,
    -- low, medium, high
    severity text not null,
    -- about whom or what: an e-mail address, a network, a key, an account
    subject text not null,
    -- the user it is about, where it is about one
    user_id bigint,
    detail text not null,
    first_at bigint not null,
    last_at bigint not null,
    count bigint not null,
    -- open, acknowledged, closed
    state text not null,
    -- a value of the list security_closing
    reason text,
    note text,
    handled_by text,
    handled_at bigint,
    revision bigint not null
);

create index security_event_tenant on security_event (tenant_id, id);
create index security_event_subject on security_event (tenant_id, kind, subject, last_at);
create index security_event_user on security_event (tenant_id, user_id, id) where user_id is not null;
create index security_event_closed on security_event (handled_at) where state = 'closed';

-- How far each tenant's event stream was looked through.
create table security_watch (
    tenant_id bigint primary key,
    event_seq bigint not null
);

insert into security_watch (tenant_id, event_seq) select tenant_id, seq from event_head;

-- Who is told of security events.
create table alert_rule (
    id bigint primary key,
    tenant_id bigint not null references tenant (id),
    name text not null,
    active boolean not null,
    -- whether it is about the platform's own events, not the tenant's
    platform boolean not null,
    -- a JSON array of kinds; empty: all
    kinds text not null,
    severity text not null,
    -- a JSON array of users
    people text not null,
    url text not null,
    -- what the webhook is signed with, sealed with the tenant's key
    secret_sealed text not null,
    revision bigint not null,
    created_at bigint not null,
    changed_at bigint not null
);

create unique index alert_rule_name on alert_rule (tenant_id, name);

-- Lists of values that people choose from: reasons, titles, categories.
create table value_list (
    tenant_id bigint not null references tenant (id),
    name text not null,
    -- JSON: a title by language
    titles text not null,
    -- JSON: the values in their order
    items text not null,
    system boolean not null,
    revision bigint not null,
    changed_at bigint not null,
    primary key (tenant_id, name)
);
