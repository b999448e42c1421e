// The catalog's part of the Store: models, versions, aliases, calibrations.
#include <fmt/format.h>

#include "store/rows.h"
#include "store/store.h"

namespace penstock::store {
namespace {

ModelRecord ReadModel(const Statement& row) {
  return {.full_name = row.Text(0),
          .comment = row.Text(1),
          .created_by = row.Text(2),
          .created_at = FromMs(row.Integer(3)),
          .updated_at = FromMs(row.Integer(4)),
          .last_version = row.Integer(5),
          .owner = row.Text(6),
          .details = row.Text(7)};
}

ModelVersionRecord ReadModelVersion(const Statement& row) {
  return {.full_name = row.Text(0),
          .version = row.Integer(1),
          .source = row.Text(2),
          .size_bytes = row.Integer(3),
          .fingerprint = row.Text(4),
          .format = row.Text(5),
          .created_by = row.Text(6),
          .created_at = FromMs(row.Integer(7)),
          .status = row.Text(8),
          .details = row.Text(9)};
}

ModelAliasRecord ReadModelAlias(const Statement& row) {
  return {.full_name = row.Text(0), .alias = row.Text(1), .version = row.Integer(2)};
}

CalibrationRecord ReadCalibration(const Statement& row) {
  return {.model_hash = row.Text(0),
          .hardware_hash = row.Text(1),
          .document = row.Text(2),
          .measured_at = FromMs(row.Integer(3))};
}

constexpr std::string_view kSelectModel =
    "SELECT full_name, comment, created_by, created_at_ms, updated_at_ms, last_version, owner, "
    "details FROM model ";
constexpr std::string_view kSelectVersion =
    "SELECT full_name, version, source, size_bytes, fingerprint, format, created_by, "
    "created_at_ms, status, details FROM model_version ";
constexpr std::string_view kSelectCalibration =
    "SELECT model_hash, hardware_hash, document, measured_at_ms FROM calibration ";

std::string Sql(std::string_view select, std::string_view rest) {
  return std::string(select) + std::string(rest);
}

}  // namespace

Status Store::AddModel(const ModelRecord& model) {
  auto insert = database_.Prepare(
      "INSERT INTO model (full_name, comment, created_by, created_at_ms, updated_at_ms, "
      "last_version, owner, details) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
  if (!insert) return Fail(insert.error());
  insert->Bind(1, model.full_name).Bind(2, model.comment).Bind(3, model.created_by);
  insert->Bind(4, ToMs(model.created_at)).Bind(5, ToMs(model.updated_at));
  insert->Bind(6, model.last_version);
  insert->Bind(7, model.owner.empty() ? model.created_by : model.owner).Bind(8, model.details);
  return insert->Run();
}

Result<ModelVersionRecord> Store::AddModelVersion(ModelVersionRecord version,
                                                  const std::string& comment) {
  auto transaction = Transaction::Begin(database_);
  if (!transaction) return Fail(transaction.error());
  auto model = database_.Prepare(
      "INSERT INTO model (full_name, comment, created_by, created_at_ms, updated_at_ms, "
      "last_version, owner) VALUES (?1, ?2, ?3, ?4, ?4, 1, ?3) ON CONFLICT (full_name) DO UPDATE "
      "SET "
      "updated_at_ms = ?4, last_version = last_version + 1 RETURNING last_version");
  if (!model) return Fail(model.error());
  model->Bind(1, version.full_name).Bind(2, comment).Bind(3, version.created_by);
  auto row = model->Bind(4, ToMs(version.created_at)).Step();
  if (!row) return Fail(row.error());
  version.version = model->Integer(0);
  if (auto done = model->Step(); !done) return Fail(done.error());  // Past the row: completes it.

  auto insert = database_.Prepare(
      "INSERT INTO model_version (full_name, version, source, size_bytes, fingerprint, format, "
      "created_by, created_at_ms, status, details) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
      "?10)");
  if (!insert) return Fail(insert.error());
  insert->Bind(1, version.full_name).Bind(2, version.version).Bind(3, version.source);
  insert->Bind(4, version.size_bytes).Bind(5, version.fingerprint).Bind(6, version.format);
  insert->Bind(7, version.created_by).Bind(8, ToMs(version.created_at));
  insert->Bind(9, version.status).Bind(10, version.details);
  if (auto inserted = insert->Run(); !inserted) return Fail(inserted.error());
  if (auto committed = transaction->Commit(); !committed) return Fail(committed.error());
  return version;
}

Result<std::vector<ModelRecord>> Store::ListModels() {
  auto query = database_.Prepare(Sql(kSelectModel, "ORDER BY full_name"));
  if (!query) return Fail(query.error());
  return ReadAll(*query, ReadModel);
}

Result<std::optional<ModelRecord>> Store::GetModel(std::string_view full_name) {
  auto query = database_.Prepare(Sql(kSelectModel, "WHERE full_name = ?1"));
  if (!query) return Fail(query.error());
  query->Bind(1, full_name);
  return ReadOne(*query, ReadModel);
}

Result<std::vector<ModelVersionRecord>> Store::ListModelVersions(std::string_view full_name) {
  auto query = database_.Prepare(Sql(kSelectVersion, "WHERE full_name = ?1 ORDER BY version"));
  if (!query) return Fail(query.error());
  query->Bind(1, full_name);
  return ReadAll(*query, ReadModelVersion);
}

Result<std::optional<ModelVersionRecord>> Store::GetModelVersion(std::string_view full_name,
                                                                 std::int64_t version) {
  auto query = database_.Prepare(Sql(kSelectVersion, "WHERE full_name = ?1 AND version = ?2"));
  if (!query) return Fail(query.error());
  query->Bind(1, full_name).Bind(2, version);
  return ReadOne(*query, ReadModelVersion);
}

Status Store::DeleteModel(std::string_view full_name) {
  auto statement = database_.Prepare("DELETE FROM model WHERE full_name = ?1");
  if (!statement) return Fail(statement.error());
  statement->Bind(1, full_name);
  return RunOnExisting(*statement, fmt::format("registered model {}", full_name));
}

Status Store::DeleteModelVersion(std::string_view full_name, std::int64_t version) {
  auto statement =
      database_.Prepare("DELETE FROM model_version WHERE full_name = ?1 AND version = ?2");
  if (!statement) return Fail(statement.error());
  statement->Bind(1, full_name).Bind(2, version);
  return RunOnExisting(*statement, fmt::format("version {} of model {}", version, full_name));
}

Status Store::UpdateModel(const ModelRecord& model) {
  auto statement = database_.Prepare(
      "UPDATE model SET comment = ?2, owner = ?3, details = ?4, updated_at_ms = ?5 "
      "WHERE full_name = ?1");
  if (!statement) return Fail(statement.error());
  statement->Bind(1, model.full_name).Bind(2, model.comment).Bind(3, model.owner);
  statement->Bind(4, model.details).Bind(5, ToMs(model.updated_at));
  return RunOnExisting(*statement, fmt::format("registered model {}", model.full_name));
}

Status Store::UpdateModelVersion(const ModelVersionRecord& version) {
  auto statement = database_.Prepare(
      "UPDATE model_version SET source = ?3, size_bytes = ?4, fingerprint = ?5, format = ?6, "
      "status = ?7, details = ?8 WHERE full_name = ?1 AND version = ?2");
  if (!statement) return Fail(statement.error());
  statement->Bind(1, version.full_name).Bind(2, version.version).Bind(3, version.source);
  statement->Bind(4, version.size_bytes).Bind(5, version.fingerprint).Bind(6, version.format);
  statement->Bind(7, version.status).Bind(8, version.details);
  return RunOnExisting(*statement,
                       fmt::format("version {} of model {}", version.version, version.full_name));
}

Status Store::PutModelAlias(const ModelAliasRecord& alias) {
  auto statement = database_.Prepare(
      "INSERT INTO model_alias (full_name, alias, version) VALUES (?1, ?2, ?3) "
      "ON CONFLICT (full_name, alias) DO UPDATE SET version = excluded.version");
  if (!statement) return Fail(statement.error());
  return statement->Bind(1, alias.full_name).Bind(2, alias.alias).Bind(3, alias.version).Run();
}

Result<std::vector<ModelAliasRecord>> Store::ListModelAliases(std::string_view full_name) {
  auto query = database_.Prepare(
      "SELECT full_name, alias, version FROM model_alias WHERE full_name = ?1 ORDER BY alias");
  if (!query) return Fail(query.error());
  query->Bind(1, full_name);
  return ReadAll(*query, ReadModelAlias);
}

Status Store::DeleteModelAlias(std::string_view full_name, std::string_view alias) {
  auto statement = database_.Prepare("DELETE FROM model_alias WHERE full_name = ?1 AND alias = ?2");
  if (!statement) return Fail(statement.error());
  statement->Bind(1, full_name).Bind(2, alias);
  return RunOnExisting(*statement, fmt::format("alias \"{}\" of model {}", alias, full_name));
}

Status Store::PutCalibration(const CalibrationRecord& calibration) {
  auto statement = database_.Prepare(
      "INSERT INTO calibration (model_hash, hardware_hash, document, measured_at_ms) "
      "VALUES (?1, ?2, ?3, ?4) ON CONFLICT (model_hash, hardware_hash) DO UPDATE SET "
      "document = excluded.document, measured_at_ms = excluded.measured_at_ms");
  if (!statement) return Fail(statement.error());
  statement->Bind(1, calibration.model_hash).Bind(2, calibration.hardware_hash);
  return statement->Bind(3, calibration.document).Bind(4, ToMs(calibration.measured_at)).Run();
}

Result<std::optional<CalibrationRecord>> Store::GetCalibration(std::string_view model_hash,
                                                               std::string_view hardware_hash) {
  auto query =
      database_.Prepare(Sql(kSelectCalibration, "WHERE model_hash = ?1 AND hardware_hash = ?2"));
  if (!query) return Fail(query.error());
  query->Bind(1, model_hash).Bind(2, hardware_hash);
  return ReadOne(*query, ReadCalibration);
}

Result<std::vector<CalibrationRecord>> Store::ListCalibrations(std::string_view model_hash) {
  auto query = database_.Prepare(
      Sql(kSelectCalibration, "WHERE model_hash = ?1 ORDER BY measured_at_ms DESC"));
  if (!query) return Fail(query.error());
  query->Bind(1, model_hash);
  return ReadAll(*query, ReadCalibration);
}

}  // namespace penstock::store
