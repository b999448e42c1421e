// The date field's form: "Sun, 06 Nov 1994 08:49:37 GMT".
#pragma once

#include <chrono>
#include <string>

namespace penstock::http {

std::string HttpDate(std::chrono::sys_seconds at);

}  // namespace penstock::http
