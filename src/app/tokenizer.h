// Tokenizer: a model file's vocabulary as a function that counts tokens, for the load test, which
// must not know the engine.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::app {

// Loads the vocabulary alone. The function may be called on one thread at a time. Errors: those of
// the engine for a file that it cannot read.
Result<std::function<int(std::string_view)>> OpenTokenizer(const std::string& path);

}  // namespace penstock::app
