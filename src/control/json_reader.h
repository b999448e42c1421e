// JsonReader: typed fields of a JSON object; the first wrong one becomes an error that names its
// path, its value and what it should be.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::control {

// Parses a whole document. Errors: kInvalidArgument, with the offset of what is wrong. Nesting
// beyond 32 levels and text that is not UTF-8 are wrong.
Result<boost::json::value> ParseJson(std::string_view text);
// The same, of a document that is an object.
Result<boost::json::object> ParseJsonObject(std::string_view text);

// Reads fields of one object. Getters answer nullopt (or an empty value) for a field that is
// absent, null, or wrong; a wrong one is kept in the failure, which all readers of a document
// share, so the caller checks once. Borrows everything.
class JsonReader {
 public:
  // `path` is put before field names: "" or "config.served_entities[0].".
  JsonReader(const boost::json::object& object, std::string path, std::optional<Error>& failure)
      : object_(object), path_(std::move(path)), failure_(failure) {}

  std::optional<std::string> String(std::string_view key);
  std::string RequiredString(std::string_view key);  // Not empty either.

  // Integers may also be written as decimal strings, and booleans as "true" and "false": clients of
  // the API that we speak do both.
  std::optional<std::int64_t> Integer(std::string_view key);
  std::optional<bool> Boolean(std::string_view key);

  const boost::json::array* Array(std::string_view key);
  const boost::json::object* Object(std::string_view key);
  // The object at `index` of `array`, which is the field `key`.
  const boost::json::object* Element(const boost::json::array& array, std::string_view key,
                                     std::size_t index);

  // Records a failure that the caller found in the field.
  void Refuse(std::string_view key, std::string_view must, const boost::json::value& got);
  void Refuse(Error error);
  // Refuses a field that has a meaning which this version cannot keep, unless it is absent, null,
  // false, or empty.
  void RefuseUnsupported(std::string_view key);

  // The value itself, of whatever kind; nullptr where it is absent or null. For what must not be
  // quoted in an error.
  const boost::json::value* Raw(std::string_view key) const { return Find(key); }
  bool Has(std::string_view key) const { return Find(key) != nullptr; }
  std::string PathOf(std::string_view key) const { return path_ + std::string(key); }
  std::string PathOf(std::string_view key, std::size_t index) const;
  bool failed() const { return failure_.has_value(); }

 private:
  const boost::json::value* Find(std::string_view key) const;  // nullptr also for null.

  const boost::json::object& object_;
  std::string path_;
  std::optional<Error>& failure_;
};

}  // namespace penstock::control
