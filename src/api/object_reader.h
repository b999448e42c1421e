// ObjectReader: fields of a JSON object read by name, with one rule for every mistake; for the
// files of this folder only.
//
// The first mistake sticks: later reads do nothing, and the caller asks for failure() once at the
// end.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/padded_view.h"
#include "base/result.h"

namespace penstock::internal {

// Parses a body whose root is an object and calls `read(object)`, which returns a Result.
template <typename T, typename Read>
Result<T> ParseBody(PaddedView body, Read&& read);

// Closed at both ends unless `above_low`.
struct Range {
  double low = 0;
  double high = 0;
  bool above_low = false;  // The low end itself is out.
};

class ObjectReader {
 public:
  static constexpr std::size_t kFieldsMax = 256;

  // `path` of the object, "" for the root. `failure` collects the first mistake of all readers that
  // share it.
  ObjectReader(simdjson::dom::object object, std::string path, std::optional<Error>& failure);

  // The field, or nullopt where it is absent or null (or something failed before). Refuses a
  // field that is given twice.
  std::optional<simdjson::dom::element> Find(std::string_view name);

  // Each leaves `out` as it is where the field is absent.
  void Read(std::string_view name, std::string& out);
  void Read(std::string_view name, bool& out);
  void Read(std::string_view name, double& out, Range range);
  void Read(std::string_view name, std::int32_t& out, std::int32_t low, std::int32_t high);
  void Read(std::string_view name, std::int64_t& out, std::int64_t low, std::int64_t high);

  // For fields that this class has no reader for: `value` must be of the type that `wanted` names.
  void Refuse(std::string_view name, std::string message);
  void RefuseType(std::string_view name, std::string_view wanted, simdjson::dom::element value);

  std::string PathOf(std::string_view name) const;
  std::optional<Error>& failure() { return failure_; }

 private:
  std::string path_;
  std::optional<Error>& failure_;
  std::vector<std::pair<std::string_view, simdjson::dom::element>> fields_;
};

// "messages[3]".
std::string ItemPath(std::string_view path, std::size_t index);
// Sets `failure` unless it is set.
void RefuseAt(std::optional<Error>& failure, std::string_view path, std::string message);
void RefuseTypeAt(std::optional<Error>& failure, std::string_view path, std::string_view wanted,
                  simdjson::dom::element value);
// The value as it is shown in a message: at most 64 bytes.
std::string Shown(simdjson::dom::element value);

Result<simdjson::dom::object> ParseRoot(simdjson::dom::parser& parser, PaddedView body);
simdjson::dom::parser& DomParserFor(std::size_t bytes, simdjson::dom::parser& spare);

template <typename T, typename Read>
Result<T> ParseBody(PaddedView body, Read&& read) {
  simdjson::dom::parser spare;
  const auto root = ParseRoot(DomParserFor(body.view().size(), spare), body);
  if (!root) return std::unexpected(root.error());
  std::optional<Error> failure;
  ObjectReader in(*root, "", failure);
  T request;
  read(in, request);
  if (failure) return std::unexpected(std::move(*failure));
  return request;
}

}  // namespace penstock::internal
