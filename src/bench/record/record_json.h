// Record JSON: one record per line, there and back.
//
// Line 1 is the run's header; then requests and levels in any order. Every line is an object whose
// "kind" says which ("run", "request", "level"). Names are the fields of record.h; a time that
// never came and a count nobody told are left out. Unknown names are skipped, so that a later
// version may add some.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "bench/record/record.h"

namespace penstock::bench {

inline constexpr int kRecordsFormat = 1;

// Each appends one line, with its line feed, to `out`.
void AppendLine(const RunHeader& header, std::string& out);
void AppendLine(const RequestRecord& record, std::string& out);
void AppendLine(const LevelRecord& record, std::string& out);

// A whole file's text. A last line without a line feed that does not parse is a run that was
// killed: it is dropped and `truncated` set. Errors: kCorrupt naming line and field; kUnsupported
// for another format.
Result<RunRecords> ParseRecords(std::string_view text);

// Appends `text` as a JSON string with its quotes. Of a text that is not UTF-8, every byte beyond
// ASCII becomes U+FFFD.
void AppendJsonString(std::string_view text, std::string& out);

}  // namespace penstock::bench
