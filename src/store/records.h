// Records: the rows of the store, as plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"

namespace penstock::store {

struct ModelRecord {
  std::string full_name;  // catalog.schema.model
  std::string comment;
  std::string created_by;
  WallTime created_at{};
  WallTime updated_at{};
  std::int64_t last_version = 0;  // The highest number ever given, deleted ones included.
  std::string owner{};            // "" where a record is written: its creator.
  std::string details = "{}";     // JSON object: see control/catalog.h.
};

struct ModelAliasRecord {
  std::string full_name;
  std::string alias;
  std::int64_t version = 0;
};

struct ModelVersionRecord {
  std::string full_name;
  std::int64_t version = 0;
  std::string source;  // Absolute path of the file.
  std::int64_t size_bytes = 0;
  std::string fingerprint;  // Tells files apart; see control/model_file.h.
  std::string format;       // JSON object.
  std::string created_by;
  WallTime created_at{};
  std::string status = "READY";  // PENDING_REGISTRATION, FAILED_REGISTRATION, READY
  std::string details = "{}";    // JSON object: see control/catalog.h.
};

struct CalibrationRecord {
  std::string model_hash;
  std::string hardware_hash;
  std::string document;  // JSON object: see control/calibration_json.h.
  WallTime measured_at{};
};

struct EndpointRecord {
  std::string id;          // 32 hex digits.
  std::string name;        // Unique.
  std::string definition;  // JSON object: what was asked for.
  std::int64_t config_version = 1;
  std::string update_state;    // NOT_UPDATING, IN_PROGRESS, UPDATE_FAILED
  std::string update_message;  // Why an update failed, "" otherwise.
  std::string creator;
  WallTime created_at{};
  WallTime updated_at{};
};

struct KeyRecord {
  std::string hash;  // 32 bytes of SHA-256.
  std::string name;  // Unique.
  std::string role;  // "admin", "user"
  WallTime created_at{};
  std::vector<std::string> groups = {};  // That it belongs to, by name. AddKey() ignores them.
};

struct GroupRecord {
  std::string name;  // Unique.
  WallTime created_at{};
};

// Something that happened to an endpoint.
struct EventRecord {
  std::string endpoint_id;
  WallTime at{};
  std::string kind;           // One word.
  std::string served_entity;  // "": the endpoint as a whole.
  std::string message;
};

// A time in which a served entity was scaled to one level.
struct BillingSpanRecord {
  std::string endpoint_id;
  std::string served_entity;
  WallTime from{};
  WallTime until{};
  std::string endpoint;  // Name.
  std::string model;
  std::string unit;        // Of `level`: "tokens_per_s", "model_units", "ptu".
  std::int64_t level = 0;  // What it was scaled to.
  std::int64_t replicas = 0;
};

}  // namespace penstock::store
