-- Octets of the whole file that is uploaded, where that was said.
alter table suitcase add column bytes_total bigint;

-- The job that carries a reading out: where it is no more, neither is the reading.
alter table directory_run add column job_id bigint;
create index directory_run_open on directory_run (id) where ended_at is null;

-- Retention looks at browsers tenant by tenant, in the order of their ids.
create index session_tenant on session (tenant_id, id);
create index device_tenant on device (tenant_id, id);
drop index device_seen;

-- Reading messages said what they say and to whom; an application that could do so can do so still, as keys and roles can.
update oauth_client set scopes = replace(scopes, '"message.view"', '"message.view","identifier.view","content.view"') where scopes not like '%"identifier.view"%';
update oauth_client set scopes = replace(scopes, '"conversation.view"', '"conversation.view","identifier.view","content.view"') where scopes not like '%"identifier.view"%';
update oauth_client set scopes = replace(scopes, '"dead_letter.export"', '"dead_letter.export","identifier.view","content.view"') where scopes not like '%"identifier.view"%';
update oauth_client set scopes = replace(scopes, '"opt_out.view"', '"opt_out.view","identifier.view"') where scopes not like '%"identifier.view"%';
update oauth_client set scopes = replace(scopes, '"opt_out.export"', '"opt_out.export","identifier.view"') where scopes not like '%"identifier.view"%';
update oauth_client set scopes = replace(scopes, '"refusal.view"', '"refusal.view","identifier.view"') where scopes not like '%"identifier.view"%';
update oauth_client set scopes = replace(scopes, '"audit.export"', '"audit.export","identifier.view"') where scopes not like '%"identifier.view"%';
update oauth_client set scopes = replace(scopes, '"cdr.download"', '"cdr.download","identifier.view"') where scopes not like '%"identifier.view"%';
update oauth_client set scopes = replace(scopes, '"trace.view"', '"trace.view","identifier.view"') where scopes not like '%"identifier.view"%';
update oauth_grant set scopes = replace(scopes, '"message.view"', '"message.view","identifier.view","content.view"') where scopes not like '%"identifier.view"%';
update oauth_grant set scopes = replace(scopes, '"conversation.view"', '"conversation.view","identifier.view","content.view"') where scopes not like '%"identifier.view"%';
update oauth_grant set scopes = replace(scopes, '"dead_letter.export"', '"dead_letter.export","identifier.view","content.view"') where scopes not like '%"identifier.view"%';
update oauth_grant set scopes = replace(scopes, '"opt_out.view"', '"opt_out.view","identifier.view"') where scopes not like '%"identifier.view"%';
update oauth_grant set scopes = replace(scopes, '"opt_out.export"', '"opt_out.export","identifier.view"') where scopes not like '%"identifier.view"%';
update oauth_grant set scopes = replace(scopes, '"refusal.view"', '"refusal.view","identifier.view"') where scopes not like '%"identifier.view"%';
update oauth_grant set scopes = replace(scopes, '"audit.export"', '"audit.export","identifier.view"') where scopes not like '%"identifier.view"%';
update oauth_grant set scopes = replace(scopes, '"cdr.download"', '"cdr.download","identifier.view"') where scopes not like '%"identifier.view"%';
update oauth_grant set scopes = replace(scopes, '"trace.view"', '"trace.view","identifier.view"') where scopes not like '%"identifier.view"%';
