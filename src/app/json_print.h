// PrintJson: JSON for people, on stdout.
#pragma once

#include <string_view>

namespace penstock::app {

// Prints `json` indented by two blanks; as it is, if it is not JSON.
void PrintJson(std::string_view json);

}  // namespace penstock::app
