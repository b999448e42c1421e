// The reason phrases of status codes.
#pragma once

#include <string_view>

namespace penstock::http {

// "" for codes without one here: the phrase is for people only.
std::string_view ReasonOf(int status);

}  // namespace penstock::http
