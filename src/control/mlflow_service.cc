#include "control/mlflow_service.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <utility>

#include "control/json_reader.h"
#include "control/model_json.h"
#include "http/url.h"

namespace penstock::control {

// Parameters of a call, from its body or its query.
struct MlflowService::Call {
  const boost::json::object& body;
  std::string_view query;
  const Caller& caller;
  Moment moment;
  mutable std::optional<Error> failure = std::nullopt;

  std::string Text(std::string_view key) const {
    JsonReader reader(body, "", failure);
    if (auto text = reader.String(key)) return *text;
    return http::QueryValue(query, key).value_or("");
  }
  std::string Required(std::string_view key) const {
    std::string text = Text(key);
    if (text.empty() && !failure) {
      failure = {Code::kInvalidArgument, fmt::format("{} is required", key), std::string(key)};
    }
    return text;
  }
  // Versions are texts in MLflow, and numbers in many a script.
  std::int64_t Version() const {
    JsonReader reader(body, "", failure);
    std::optional<std::int64_t> number = reader.Integer("version");
    if (const auto text = http::QueryValue(query, "version"); !number && text) {
      std::int64_t parsed = 0;
      const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), parsed);
      if (error == std::errc() && end == text->data() + text->size()) number = parsed;
    }
    if (number && *number >= 1) return *number;
    if (!failure) {
      failure = {Code::kInvalidArgument, "version must be an integer of 1 or more", "version"};
    }
    return 0;
  }
  Page PageAsked() const {
    JsonReader reader(body, "", failure);
    Page page{.token = Text("page_token")};
    if (const auto most = reader.Integer("max_results")) page.results_max = *most;
    if (const auto text = http::QueryValue(query, "max_results")) {
      (void)std::from_chars(text->data(), text->data() + text->size(), page.results_max);
    }
    return page;
  }
};

struct MlflowService::Route {
  std::string_view method;
  std::string_view path;
  Answer (MlflowService::*function)(const Call&);
};

const MlflowService::Route MlflowService::kRoutes[] = {
    {"POST", "registered-models/create", &MlflowService::CreateModel},
    {"GET", "registered-models/get", &MlflowService::GetModel},
    {"GET", "registered-models/search", &MlflowService::SearchModels},
    {"GET", "registered-models/list", &MlflowService::SearchModels},
    {"PATCH", "registered-models/update", &MlflowService::UpdateModel},
    {"DELETE", "registered-models/delete", &MlflowService::DeleteModel},
    {"POST", "registered-models/set-tag", &MlflowService::SetModelTag},
    {"DELETE", "registered-models/delete-tag", &MlflowService::DeleteModelTag},
    {"GET", "registered-models/get-latest-versions", &MlflowService::GetLatestVersions},
    {"POST", "registered-models/get-latest-versions", &MlflowService::GetLatestVersions},
    {"POST", "registered-models/alias", &MlflowService::SetAlias},
    {"GET", "registered-models/alias", &MlflowService::GetAlias},
    {"DELETE", "registered-models/alias", &MlflowService::DeleteAlias},
    {"POST", "model-versions/create", &MlflowService::CreateVersion},
    {"GET", "model-versions/get", &MlflowService::GetVersion},
    {"GET", "model-versions/search", &MlflowService::SearchVersions},
    {"PATCH", "model-versions/update", &MlflowService::UpdateVersion},
    {"DELETE", "model-versions/delete", &MlflowService::DeleteVersion},
    {"POST", "model-versions/set-tag", &MlflowService::SetVersionTag},
    {"DELETE", "model-versions/delete-tag", &MlflowService::DeleteVersionTag},
    {"GET", "model-versions/get-download-uri", &MlflowService::GetDownloadUri},
};

namespace {

// A call's failure, once its parameters were read.
std::optional<Error> TakeFailure(std::optional<Error>& failure) {
  return std::exchange(failure, std::nullopt);
}

boost::json::object Wrapped(const char* key, boost::json::object inner) {
  return boost::json::object{{key, std::move(inner)}};
}

}  // namespace

Result<NameFilter> ParseNameFilter(std::string_view filter) {
  const auto trim = [](std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
  };
  std::string_view rest = trim(filter);
  if (rest.empty()) return NameFilter{};
  bool good = rest.starts_with("name");
  if (good) rest = trim(rest.substr(4));
  NameFilter read;
  if (good && rest.starts_with("=")) {
    rest = trim(rest.substr(1));
  } else if (good && (rest.starts_with("LIKE ") || rest.starts_with("like "))) {
    rest = trim(rest.substr(5));
    read.prefix = true;
  } else {
    good = false;
  }
  const bool quoted = rest.size() >= 2 && (rest.front() == '\'' || rest.front() == '"') &&
                      rest.back() == rest.front();
  if (good && quoted) {
    rest = rest.substr(1, rest.size() - 2);
    if (read.prefix && rest.ends_with('%')) {
      rest.remove_suffix(1);
    } else {
      read.prefix = false;
    }
    if (rest.find_first_of("%'\"") == std::string_view::npos) {
      read.name = rest;
      return read;
    }
  }
  return Fail(Code::kUnsupported,
              fmt::format("filter must be name='MODEL' or name LIKE 'PREFIX%', got \"{}\"",
                          filter.substr(0, 100)),
              "filter");
}

MlflowService::Answer MlflowService::Handle(std::string_view method, std::string_view path,
                                            std::string_view query, std::string_view body,
                                            const Caller& caller, Moment moment) {
  const auto object = ParseJsonObject(body.empty() ? "{}" : body);
  if (!object) return Fail(object.error());
  bool known = false;
  for (const Route& route : kRoutes) {
    if (route.path != path) continue;
    known = true;
    if (route.method != method) continue;
    return (this->*route.function)(
        {.body = *object, .query = query, .caller = caller, .moment = moment});
  }
  if (!known) {
    return Fail(Code::kNotFound, fmt::format("no such path: mlflow/{}", path.substr(0, 200)));
  }
  return Fail(Code::kMethodNotAllowed, fmt::format("mlflow/{} does not take {}", path, method));
}

Result<boost::json::object> MlflowService::ModelNamed(const std::string& name) {
  const auto model = catalog_.Get(name);
  if (!model) return Fail(model.error());
  const auto versions = catalog_.ListVersions(name);
  if (!versions) return Fail(versions.error());
  return Wrapped("registered_model",
                 MlflowModelJson(*model, catalog_.ListAliases(name).value_or(Aliases()),
                                 versions->empty() ? nullptr : &versions->back()));
}

Result<boost::json::object> MlflowService::VersionNamed(const std::string& name,
                                                        std::int64_t version) {
  const auto found = catalog_.GetVersion(name, version);
  if (!found) return Fail(found.error());
  return Wrapped("model_version",
                 MlflowVersionJson(*found, catalog_.ListAliases(name).value_or(Aliases())));
}

MlflowService::Answer MlflowService::CreateModel(const Call& call) {
  const std::string name = call.Required("name");
  const std::string description = call.Text("description");
  JsonReader reader(call.body, "", call.failure);
  const ModelDetails details{.tags = ReadTags(reader, call.body).value_or(Tags())};
  if (auto failure = TakeFailure(call.failure)) return Fail(std::move(*failure));
  const auto made = catalog_.Create({.full_name = name,
                                     .comment = description,
                                     .created_by = call.caller.name,
                                     .created_at = call.moment.wall,
                                     .updated_at = call.moment.wall,
                                     .owner = call.caller.name,
                                     .details = Serialize(details)});
  if (!made) return Fail(made.error());
  return ModelNamed(name);
}

MlflowService::Answer MlflowService::GetModel(const Call& call) {
  const std::string name = call.Required("name");
  if (auto failure = TakeFailure(call.failure)) return Fail(std::move(*failure));
  return ModelNamed(name);
}

MlflowService::Answer MlflowService::SearchModels(const Call& call) {
  const auto filter = ParseNameFilter(call.Text("filter"));
  if (!filter) return Fail(filter.error());
  if (auto failure = TakeFailure(call.failure)) return Fail(std::move(*failure));
  const auto models = catalog_.List();
  if (!models) return Fail(models.error());
  boost::json::array list;
  for (const store::ModelRecord& model : *models) {
    const bool fits =
        filter->name.empty() || (filter->prefix ? model.full_name.starts_with(filter->name)
                                                : model.full_name == filter->name);
    if (!fits) continue;
    auto json = ModelNamed(model.full_name);
    if (!json) return json;
    list.push_back(std::move(json->at("registered_model")));
  }
  return boost::json::object{{"registered_models", std::move(list)}};
}

template <typename Change>
MlflowService::Answer MlflowService::ChangeModel(const Call& call, Change change) {
  const std::string name = call.Required("name");
  if (auto failure = TakeFailure(call.failure)) return Fail(std::move(*failure));
  auto model = catalog_.Get(name);
  if (!model) return Fail(model.error());
  ModelDetails details = ParseModelDetails(model->details);
  if (Status changed = change(*model, details); !changed) return Fail(changed.error());
  details.updated_by = call.caller.name;
  model->details = Serialize(details);
  model->updated_at = call.moment.wall;
  if (auto updated = catalog_.Update(*model); !updated) return Fail(updated.error());
  return ModelNamed(name);
}

template <typename Change>
MlflowService::Answer MlflowService::ChangeVersion(const Call& call, Change change) {
  const std::string name = call.Required("name");
  const std::int64_t number = call.Version();
  if (auto failure = TakeFailure(call.failure)) return Fail(std::move(*failure));
  auto version = catalog_.GetVersion(name, number);
  if (!version) return Fail(version.error());
  VersionDetails details = ParseVersionDetails(version->details);
  if (Status changed = change(details); !changed) return Fail(changed.error());
  details.updated_by = call.caller.name;
  details.updated_at_ms = call.moment.wall.time_since_epoch().count();
  version->details = Serialize(details);
  if (auto updated = catalog_.UpdateVersion(*version); !updated) return Fail(updated.error());
  return VersionNamed(name, number);
}

namespace {

Status SetTag(Tags& tags, const std::string& key, const std::string& value) {
  if (!tags.contains(key) && tags.size() >= kModelTagsMax) {
    return Fail(Code::kInvalidArgument,
                fmt::format("there are {} tags, the most there may be", kModelTagsMax), "key");
  }
  tags[key] = value;
  return {};
}

}  // namespace

MlflowService::Answer MlflowService::UpdateModel(const Call& call) {
  return ChangeModel(call, [&call](store::ModelRecord& model, ModelDetails&) -> Status {
    model.comment = call.Text("description");
    return {};
  });
}

MlflowService::Answer MlflowService::DeleteModel(const Call& call) {
  const std::string name = call.Required("name");
  if (auto failure = TakeFailure(call.failure)) return Fail(std::move(*failure));
  if (auto deleted = models_.Delete(name); !deleted) return Fail(deleted.error());
  return boost::json::object();
}

MlflowService::Answer MlflowService::SetModelTag(const Call& call) {
  const std::string key = call.Required("key");
  const std::string value = call.Text("value");
  const auto answer = ChangeModel(call, [&](store::ModelRecord&, ModelDetails& details) {
    return SetTag(details.tags, key, value);
  });
  if (!answer) return answer;
  return boost::json::object();
}

MlflowService::Answer MlflowService::DeleteModelTag(const Call& call) {
  const std::string key = call.Required("key");
  const auto answer = ChangeModel(call, [&](store::ModelRecord&, ModelDetails& details) -> Status {
    details.tags.erase(key);
    return {};
  });
  if (!answer) return answer;
  return boost::json::object();
}

// Stages are no longer: the newest version stands for all of them.
MlflowService::Answer MlflowService::GetLatestVersions(const Call& call) {
  const std::string name = call.Required("name");
  if (auto failure = TakeFailure(call.failure)) return Fail(std::move(*failure));
  const auto model = ModelNamed(name);
  if (!model) return model;
  return boost::json::object{
      {"model_versions", model->at("registered_model").at("latest_versions")}};
}

MlflowService::Answer MlflowService::SetAlias(const Call& call) {
  const std::string name = call.Required("name");
  const std::string alias = call.Required("alias");
  const std::int64_t version = call.Version();
  if (auto failure = TakeFailure(call.failure)) return Fail(std::move(*failure));
  if (auto set = catalog_.SetAlias(name, alias, version); !set) return Fail(set.error());
  return boost::json::object();
}

MlflowService::Answer MlflowService::GetAlias(const Call& call) {
  const std::string name = call.Required("name");
  const std::string alias = call.Required("alias");
  if (auto failure = TakeFailure(call.failure)) return Fail(std::move(*failure));
  const auto version = catalog_.GetVersionByAlias(name, alias);
  if (!version) return Fail(version.error());
  return VersionNamed(name, version->version);
}

MlflowService::Answer MlflowService::DeleteAlias(const Call& call) {
  const std::string name = call.Required("name");
  const std::string alias = call.Required("alias");
  if (auto failure = TakeFailure(call.failure)) return Fail(std::move(*failure));
  if (auto deleted = catalog_.DeleteAlias(name, alias); !deleted) return Fail(deleted.error());
  return boost::json::object();
}

MlflowService::Answer MlflowService::CreateVersion(const Call& call) {
  const std::string name = call.Required("name");
  if (auto failure = TakeFailure(call.failure)) return Fail(std::move(*failure));
  boost::json::object body = call.body;
  if (const auto* description = body.if_contains("description")) body["comment"] = *description;
  const auto made =
      models_.CreateVersion(name, boost::json::serialize(body), call.caller, call.moment);
  if (!made) return made;
  return VersionNamed(name, made->at("version").to_number<std::int64_t>());
}

MlflowService::Answer MlflowService::GetVersion(const Call& call) {
  const std::string name = call.Required("name");
  const std::int64_t version = call.Version();
  if (auto failure = TakeFailure(call.failure)) return Fail(std::move(*failure));
  return VersionNamed(name, version);
}

MlflowService::Answer MlflowService::SearchVersions(const Call& call) {
  const auto filter = ParseNameFilter(call.Text("filter"));
  if (!filter) return Fail(filter.error());
  if (auto failure = TakeFailure(call.failure)) return Fail(std::move(*failure));
  const auto models = catalog_.List();
  if (!models) return Fail(models.error());
  boost::json::array list;
  for (const store::ModelRecord& model : *models) {
    const bool fits =
        filter->name.empty() || (filter->prefix ? model.full_name.starts_with(filter->name)
                                                : model.full_name == filter->name);
    if (!fits) continue;
    const auto versions = catalog_.ListVersions(model.full_name);
    if (!versions) return Fail(versions.error());
    const Aliases aliases = catalog_.ListAliases(model.full_name).value_or(Aliases());
    for (auto version = versions->rbegin(); version != versions->rend(); ++version) {
      list.push_back(MlflowVersionJson(*version, aliases));
    }
  }
  return boost::json::object{{"model_versions", std::move(list)}};
}

MlflowService::Answer MlflowService::UpdateVersion(const Call& call) {
  return ChangeVersion(call, [&call](VersionDetails& details) -> Status {
    details.comment = call.Text("description");
    return {};
  });
}

MlflowService::Answer MlflowService::DeleteVersion(const Call& call) {
  const std::string name = call.Required("name");
  const std::int64_t version = call.Version();
  if (auto failure = TakeFailure(call.failure)) return Fail(std::move(*failure));
  if (auto deleted = models_.DeleteVersion(name, version); !deleted) return Fail(deleted.error());
  return boost::json::object();
}

MlflowService::Answer MlflowService::SetVersionTag(const Call& call) {
  const std::string key = call.Required("key");
  const std::string value = call.Text("value");
  const auto answer = ChangeVersion(
      call, [&](VersionDetails& details) { return SetTag(details.tags, key, value); });
  if (!answer) return answer;
  return boost::json::object();
}

MlflowService::Answer MlflowService::DeleteVersionTag(const Call& call) {
  const std::string key = call.Required("key");
  const auto answer = ChangeVersion(call, [&](VersionDetails& details) -> Status {
    details.tags.erase(key);
    return {};
  });
  if (!answer) return answer;
  return boost::json::object();
}

MlflowService::Answer MlflowService::GetDownloadUri(const Call& call) {
  const std::string name = call.Required("name");
  const std::int64_t number = call.Version();
  if (auto failure = TakeFailure(call.failure)) return Fail(std::move(*failure));
  const auto version = catalog_.GetVersion(name, number);
  if (!version) return Fail(version.error());
  return boost::json::object{{"artifact_uri", version->source}};
}

}  // namespace penstock::control
