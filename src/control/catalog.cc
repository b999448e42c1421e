#include "control/catalog.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "control/json_reader.h"
#include "control/model_file.h"
#include "control/names.h"

namespace penstock::control {

Result<store::ModelVersionRecord> Catalog::Register(const RegisterModel& request, WallTime now) {
  if (auto name = ParseModelName(request.full_name, "name"); !name) return Fail(name.error());
  const auto file = InspectModelFile(request.source);
  if (!file) return Fail(file.error());
  return store_.AddModelVersion({.full_name = request.full_name,
                                 .version = 0,
                                 .source = file->path,
                                 .size_bytes = file->size_bytes,
                                 .fingerprint = file->fingerprint,
                                 .format = boost::json::serialize(file->format),
                                 .created_by = request.creator,
                                 .created_at = now},
                                request.comment);
}

Result<store::ModelRecord> Catalog::Get(const std::string& full_name) {
  auto found = store_.GetModel(full_name);
  if (!found) return Fail(found.error());
  if (*found) return **found;
  return Fail(Code::kNotFound, fmt::format("registered model {} does not exist", full_name));
}

Result<std::vector<store::ModelVersionRecord>> Catalog::ListVersions(const std::string& full_name) {
  if (auto model = Get(full_name); !model) return Fail(model.error());
  return store_.ListModelVersions(full_name);
}

Result<store::ModelVersionRecord> Catalog::GetVersion(const std::string& full_name,
                                                      std::int64_t version) {
  auto found = store_.GetModelVersion(full_name, version);
  if (!found) return Fail(found.error());
  if (*found) return **found;
  if (auto model = Get(full_name); !model) return Fail(model.error());
  return Fail(Code::kNotFound,
              fmt::format("version {} of model {} does not exist", version, full_name));
}

std::string ArchitectureOf(const store::ModelVersionRecord& version) {
  const auto format = ParseJsonObject(version.format);
  if (!format) return {};
  const auto* architecture = format->if_contains("architecture");
  const bool known = architecture != nullptr && architecture->is_string();
  return known ? std::string(architecture->get_string()) : std::string();
}

std::string TaskOf(const store::ModelVersionRecord& version) {
  return TaskOf(ArchitectureOf(version));
}

}  // namespace penstock::control
