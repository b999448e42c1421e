// The error body that the server itself sends: OpenAI's shape, as one literal. Answers in other
// dialects are made by whoever knows the dialect.
#pragma once

#include <string>

#include "base/result.h"

namespace penstock::http {

// Appends {"error":{"message":...,"type":...,"param":...,"code":...}}.
void AppendErrorBody(const Error& error, std::string& to);

}  // namespace penstock::http
