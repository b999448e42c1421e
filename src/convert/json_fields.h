// JsonFields: members of files that others wrote; what is absent or of another type is nullopt.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::convert {

// Parses `text`, an object. kCorrupt, naming `what`.
Result<boost::json::object> ParseObject(std::string_view text, std::string_view what);
// Reads and parses a file. Also the errors of ReadSmallFile.
Result<boost::json::object> ReadObject(const std::string& path);

const boost::json::value* Find(const boost::json::object& object, std::string_view key);
const boost::json::object* FindObject(const boost::json::object& object, std::string_view key);
const boost::json::array* FindArray(const boost::json::object& object, std::string_view key);
std::optional<std::string> FindString(const boost::json::object& object, std::string_view key);
std::optional<std::int64_t> FindInteger(const boost::json::object& object, std::string_view key);
std::optional<double> FindNumber(const boost::json::object& object, std::string_view key);
std::optional<bool> FindBool(const boost::json::object& object, std::string_view key);

}  // namespace penstock::convert
