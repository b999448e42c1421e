// PrintJson: JSON for people, on stdout.
#pragma once

#include <string>
#include <string_view>

#include <boost/json.hpp>

namespace penstock::app {

// Prints `json` indented by two blanks; as it is, if it is not JSON.
void PrintJson(std::string_view json);

// The texts of a list, with commas between; "-" for none.
std::string JoinTexts(const boost::json::array& texts);

}  // namespace penstock::app
