#include "app/own_models.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "app/model_commands.h"
#include "control/calibration_json.h"
#include "http/url.h"
#include "meter/time_text.h"

namespace penstock::app {
namespace {

struct NamedVersion {
  std::string name;
  std::int64_t version = 0;  // 0: the newest.
};

Result<NamedVersion> ParseName(const std::string& text) {
  const std::size_t slash = text.find('/');
  NamedVersion named{.name = text.substr(0, slash)};
  if (slash == std::string::npos) return named;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data() + slash + 1, end, named.version);
  if (read.ec == std::errc() && read.ptr == end && named.version > 0) return named;
  return Fail(
      Code::kInvalidArgument,
      fmt::format("--own is '{}'; it must be catalog.schema.model, that/VERSION, or all", text),
      "own");
}

Result<std::vector<NamedVersion>> AllNames(const RemoteOptions& remote) {
  std::vector<NamedVersion> names;
  std::string page;
  do {
    const auto answer = CallForObject(
        remote, "GET",
        "/api/2.1/unity-catalog/models" +
            (page.empty() ? std::string() : "?page_token=" + http::PercentEncode(page)));
    if (!answer) return Fail(answer.error());
    for (const auto& entry : answer->at("registered_models").as_array()) {
      names.push_back({.name = TextIn(entry.as_object(), "full_name")});
    }
    page = TextIn(*answer, "next_page_token");
  } while (!page.empty());
  return names;
}

// Nullopt: it was never calibrated; `what` then says so.
Result<std::optional<plan::OwnModel>> Read(const RemoteOptions& remote, const NamedVersion& named,
                                           std::string& what) {
  const auto version = VersionOrNewest(remote, named.name, named.version);
  if (!version) return Fail(version.error());
  const std::string name = fmt::format("{}/{}", named.name, *version);
  const auto answer =
      CallForObject(remote, "GET",
                    fmt::format("/api/2.0/penstock/models/{}/versions/{}/calibration",
                                http::PercentEncode(named.name), *version));
  if (!answer) return Fail(answer.error());
  const auto* const found = answer->if_contains("calibration");
  if (found == nullptr) {
    what = fmt::format("{} was never calibrated: penstock model calibrate {}", name, named.name);
    return std::optional<plan::OwnModel>();
  }
  const auto calibration = control::ParseCalibration(boost::json::serialize(*found));
  if (!calibration) return Fail(calibration.error());
  what = fmt::format(
      "{}: calibrated {} ({}) on {}; one replica does {:.0f} normalised tokens/s, an output token "
      "counts as {:.1f} input tokens",
      name, meter::FormatTime(std::chrono::floor<std::chrono::seconds>(calibration->measured_at)),
      policy::ToString(calibration->mode), calibration->hardware, calibration->cost_per_s,
      calibration->weights.output);
  return std::optional(plan::OwnModel{.name = name, .capacity = policy::CapacityOf(*calibration)});
}

}  // namespace

Result<OwnModels> ReadOwnModels(const RemoteOptions& remote,
                                const std::vector<std::string>& names) {
  const bool all = std::ranges::count(names, "all") > 0;
  std::vector<NamedVersion> wanted;
  if (all) {
    auto found = AllNames(remote);
    if (!found) return Fail(found.error());
    wanted = *std::move(found);
  } else {
    for (const std::string& text : names) {
      auto named = ParseName(text);
      if (!named) return Fail(named.error());
      wanted.push_back(*std::move(named));
    }
  }
  OwnModels own;
  for (const NamedVersion& named : wanted) {
    std::string what;
    auto model = Read(remote, named, what);
    if (!model) return Fail(model.error());
    if (!*model && !all) return Fail(Code::kNotFound, "--own: " + what, "own");
    if (*model) own.models.push_back(**std::move(model));
    own.sources.push_back(std::move(what));
  }
  if (wanted.empty()) own.sources.emplace_back("The server has no model of its own");
  return own;
}

}  // namespace penstock::app
