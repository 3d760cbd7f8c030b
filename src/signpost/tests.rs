use time::OffsetDateTime;
