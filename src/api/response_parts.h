// Pieces that whole responses and stream chunks share; for the files of this folder only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "api/responses.h"

namespace penstock::internal {

// `{"id":...,"object":...,"created":...,"model":...`, left open.
void AppendHead(std::string& out, std::string_view object, const ResponseHead& head);
void AppendNumber(std::string& out, std::int64_t number);
void AppendUsageObject(std::string& out, const Usage& usage);
// `,"penstock":{...}`; nothing for null.
void AppendTiming(std::string& out, const Timing* timing);
// The quoted word, or null.
void AppendFinishReason(std::string& out, FinishReason reason);

// `"id":...,"type":"function","function":{"name":...,"arguments":"` and the arguments, left open.
void AppendToolCallOpening(std::string& out, const ToolCall& call);

}  // namespace penstock::internal
