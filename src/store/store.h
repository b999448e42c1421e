// Store: models, endpoints, keys and settings on disk.
//
// What a call acknowledged is durable: it survives a killed process and a power cut. A call that
// failed changed nothing. One thread; every call may block on the disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "store/database.h"
#include "store/records.h"

namespace penstock::store {

class Store {
 public:
  // Opens or creates the database and brings its schema up to date. Errors as Database::Open and
  // MigrateSchema.
  static Result<Store> Open(const std::string& database_path);

  // A model without versions. kAlreadyExists: the name is taken.
  Status AddModel(const ModelRecord& model);
  // Adds a version under the next number, and the model itself with its first version. Of
  // `version`, the number is ignored; the answer carries it.
  Result<ModelVersionRecord> AddModelVersion(ModelVersionRecord version,
                                             const std::string& comment);
  Result<std::vector<ModelRecord>> ListModels();  // By name.
  Result<std::optional<ModelRecord>> GetModel(std::string_view full_name);
  Result<std::vector<ModelVersionRecord>> ListModelVersions(std::string_view full_name);  // Upward.
  Result<std::optional<ModelVersionRecord>> GetModelVersion(std::string_view full_name,
                                                            std::int64_t version);
  // Comment, owner, details and time of change. kNotFound.
  Status UpdateModel(const ModelRecord& model);
  // All but number, creator and time of creation. kNotFound.
  Status UpdateModelVersion(const ModelVersionRecord& version);
  // With all versions and aliases. kNotFound.
  Status DeleteModel(std::string_view full_name);
  // With its aliases. kNotFound. The model stays, even without versions.
  Status DeleteModelVersion(std::string_view full_name, std::int64_t version);

  // Replaces. kConflict: no such version.
  Status PutModelAlias(const ModelAliasRecord& alias);
  Result<std::vector<ModelAliasRecord>> ListModelAliases(std::string_view full_name);  // By alias.
  Status DeleteModelAlias(std::string_view full_name, std::string_view alias);         // kNotFound.

  Status PutCalibration(const CalibrationRecord& calibration);  // Replaces.
  Result<std::optional<CalibrationRecord>> GetCalibration(std::string_view model_hash,
                                                          std::string_view hardware_hash);
  // Of every hardware; the newest first.
  Result<std::vector<CalibrationRecord>> ListCalibrations(std::string_view model_hash);

  Status AddEndpoint(
      const EndpointRecord& endpoint);  // kAlreadyExists: the name or the id is taken.
  Result<std::vector<EndpointRecord>> ListEndpoints();  // By name.
  // All but id, name, creator and time of creation. kNotFound.
  Status UpdateEndpoint(const EndpointRecord& endpoint);
  Status DeleteEndpoint(std::string_view id);  // kNotFound.

  // Keeps at most the newest `kept_max` events of an endpoint.
  Status AddEvent(const EventRecord& event, int kept_max);
  Result<std::vector<EventRecord>> ListEvents(std::string_view endpoint_id);  // Newest first.
  Status DeleteEvents(std::string_view endpoint_id);

  // Adds a span, or sets the end of the one with this endpoint, entity and begin.
  Status PutBillingSpan(const BillingSpanRecord& span);
  // Those that touch [from, until), by endpoint, entity and begin.
  Result<std::vector<BillingSpanRecord>> ListBillingSpans(WallTime from, WallTime until);

  Status AddKey(const KeyRecord& key);        // kAlreadyExists: the name is taken.
  Result<std::vector<KeyRecord>> ListKeys();  // By name.
  Status DeleteKey(std::string_view name);    // kNotFound. It leaves its groups.

  Status AddGroup(const GroupRecord& group);      // kAlreadyExists: the name is taken.
  Result<std::vector<GroupRecord>> ListGroups();  // By name.
  Status DeleteGroup(std::string_view name);      // kNotFound. Its members stay.
  // No-op for one that is a member already. kConflict: no such group or key.
  Status AddGroupMember(std::string_view group, std::string_view key);
  Status RemoveGroupMember(std::string_view group, std::string_view key);  // kNotFound.

  Status PutSetting(std::string_view name, std::string_view value);  // Replaces.
  Result<std::optional<std::string>> GetSetting(std::string_view name);

 private:
  explicit Store(Database database) : database_(std::move(database)) {}
  // Runs a DELETE or UPDATE; kNotFound with `what` when no row was touched.
  Status RunOnExisting(Statement& statement, const std::string& what);

  Database database_;
};

}  // namespace penstock::store
