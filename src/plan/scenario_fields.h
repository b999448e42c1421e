// Fields: a mapping of a scenario's file, read field by field. Private to the scenario's files.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include "base/result.h"

namespace penstock::plan {

inline constexpr double kNanosecondsPerSecond = 1e9;

// A mapping of the file. The first field that is wrong stays, so that one check at the end
// suffices.
class Fields {
 public:
  Fields(YAML::Node node, std::string where, Status& status)
      : node_(std::move(node)), where_(std::move(where)), status_(status) {
    if (node_.IsDefined() && !node_.IsMap()) Bad("", "must be a mapping");
  }

  bool Has(const char* name) const { return node_.IsMap() && node_[name].IsDefined(); }
  Fields Inner(const char* name) { return {Get(name), where_ + name + ".", status_}; }
  YAML::Node Get(const char* name) const {
    return Has(name) ? node_[name] : YAML::Node(YAML::NodeType::Undefined);
  }

  // Leaves `value` where the field is missing.
  void Number(const char* name, double least, double most, double& value) {
    if (!Has(name)) return;
    double read = 0;
    if (!YAML::convert<double>::decode(Get(name), read) || !(read >= least && read <= most)) {
      return Bad(name, fmt::format("must be a number from {:g} to {:g}", least, most));
    }
    value = read;
  }
  void Pair(const char* name, double most, std::pair<double, double>& value) {
    if (!Has(name)) return;
    const YAML::Node node = Get(name);
    std::pair<double, double> read;
    if (!node.IsSequence() || node.size() != 2 ||
        !YAML::convert<double>::decode(node[0], read.first) ||
        !YAML::convert<double>::decode(node[1], read.second) || read.first < 0 ||
        read.second > most || read.first > read.second) {
      return Bad(name, fmt::format("must be [LEAST, MOST], from 0 to {:g}", most));
    }
    value = read;
  }
  std::string Text(const char* name, const std::string& otherwise) {
    if (!Has(name)) return otherwise;
    if (!Get(name).IsScalar()) Bad(name, "must be a text");
    return Get(name).IsScalar() ? Get(name).Scalar() : otherwise;
  }
  // Refuses what is not in `known`: a misspelt field would be a silent default.
  void Only(std::initializer_list<std::string_view> known) {
    if (!node_.IsMap()) return;
    for (const auto& entry : node_) {
      const std::string name = entry.first.Scalar();
      if (std::ranges::find(known, std::string_view(name)) == known.end()) {
        Bad(name.c_str(), fmt::format("is not known here; there are {}", fmt::join(known, ", ")));
      }
    }
  }
  void Bad(const char* name, const std::string& what) {
    if (!status_) return;
    status_ =
        Fail(Code::kInvalidArgument, fmt::format("{}{} {}", where_, name, what), where_ + name);
  }
  void Bad(const Error& error) {
    if (status_) status_ = Fail(error);
  }

 private:
  YAML::Node node_;
  std::string where_;
  Status& status_;
};

}  // namespace penstock::plan
