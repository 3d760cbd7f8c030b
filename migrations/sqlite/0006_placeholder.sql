-- What is read where nothing is held, so that an ask about nothing costs as much as one about something: records of no
-- agency, since none can be called `-`. There is no content, the consent is withdrawn and the authorisation revoked.
INSERT INTO organisation (id, holder, version, wrapped_key, sealed) VALUES ('-', '-', 1, NULL, x'');

INSERT INTO incident (
    id, holder, organisation_id, revision, occurred_from, occurred_until, markings, notification, campaign,
    retain_until, erased_at
) VALUES (
    '-', '-', '-', 1, 0, 1, '{"tlp":"amber","pap":"amber","classification":"official-sensitive"}', NULL, NULL, 0, NULL
);

INSERT INTO incident_revision (incident_id, revision, wrapped_key, recorded_by, recorded_at, categories) VALUES (
    '-', 1, NULL, '-', 0,
    '{"identity":"0000000000000000000000000000000000000000000000000000000000000000",
      "impact":"0000000000000000000000000000000000000000000000000000000000000000",
      "narrative":"0000000000000000000000000000000000000000000000000000000000000000",
      "sector":"0000000000000000000000000000000000000000000000000000000000000000",
      "timeline":"0000000000000000000000000000000000000000000000000000000000000000"}'
);

INSERT INTO consent (
    id, version, holder, organisation_id, recipient, state, scope, wrapped_key, evidence, recorded_by, recorded_at,
    confirmed_at
) VALUES (
    '-', 1, '-', '-', '-', 'withdrawn',
    '{"recipient":"-","purposes":["-"],"enforcement":false,
      "categories":["identity","impact","narrative","sector","timeline"],
      "coverage":{"incident":{"id":"-","revision":1,"covers_updates":false}},
      "onward":false,"valid_from":0,"valid_until":1}',
    NULL, NULL, '-', 0, 0
);

INSERT INTO authorisation (
    id, holder, incident_id, recipient, revision, covers_updates, purposes, categories, ground, given_by, given_at,
    valid_until, revoked_at
) VALUES (
    '-', '-', '-', '-', 1, 0, '["-"]', '["identity","impact","narrative","sector","timeline"]', '-', '-', 0, 1, 0
);
