// Walking JSON on demand with every byte of it checked; for the files of this folder only.
//
// The on-demand parser checks only what it is asked for. A walk asks for everything: each value
// that nobody reads goes through CheckValue().
#pragma once

#include <simdjson.h>

#include <cstddef>
#include <string_view>

#include "api/padded_view.h"
#include "base/result.h"

namespace penstock::internal {

static_assert(kJsonPadding >= simdjson::SIMDJSON_PADDING);

// What a checked value held.
struct JsonTotals {
  std::size_t string_bytes = 0;       // Values only, unescaped; keys do not count.
  std::size_t string_characters = 0;  // Of those: code points.
  std::size_t numbers = 0;
};

// Reads `value` whole. `depth`: of the object or array that holds it; the root's is 1.
simdjson::error_code CheckValue(simdjson::ondemand::value value, std::size_t depth,
                                JsonTotals& totals);

// Read a value that looks like a boolean or number; an error means that it is none, so no JSON.
simdjson::error_code ReadBool(simdjson::ondemand::value value, bool& out);
simdjson::error_code ReadNumber(simdjson::ondemand::value value, simdjson::ondemand::number& out);

// What stands between the quotes of a string's raw token (which may have spaces behind it).
inline std::string_view InsideQuotes(std::string_view token) {
  return token.substr(1, token.rfind('"') - 1);
}

// Whether nothing is left behind the root value, which has been read.
inline bool AtEnd(simdjson::ondemand::document& document) {
  return document.current_location().error() == simdjson::OUT_OF_BOUNDS;
}

// Calls `on_field(key, value)` for each field of `object`, which must read the value whole and
// returns an error_code. Stops at the first error.
template <typename OnField>
simdjson::error_code ForEachField(simdjson::ondemand::object object, OnField&& on_field) {
  for (auto next : object) {
    simdjson::ondemand::field field;
    if (auto error = std::move(next).get(field)) return error;
    std::string_view key;
    if (auto error = field.unescaped_key().get(key)) return error;
    if (auto error = on_field(key, field.value())) return error;
  }
  return simdjson::SUCCESS;
}

template <typename OnItem>
simdjson::error_code ForEachItem(simdjson::ondemand::array array, OnItem&& on_item) {
  for (auto next : array) {
    simdjson::ondemand::value value;
    if (auto error = std::move(next).get(value)) return error;
    if (auto error = on_item(value)) return error;
  }
  return simdjson::SUCCESS;
}

// A parser with room for `bytes`: this thread's own, or `spare` where the document is so large that
// this thread should not keep its buffers.
simdjson::ondemand::parser& ParserFor(std::size_t bytes, simdjson::ondemand::parser& spare);

// What is wrong with a document, in words a caller understands.
Error JsonError(simdjson::error_code error);

}  // namespace penstock::internal
