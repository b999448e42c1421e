// Files: a trace from disk, its format told by its content.
#pragma once

#include <string>

#include "base/result.h"
#include "trace/columns.h"
#include "trace/servegen.h"
#include "trace/trace.h"

namespace penstock::trace {

struct ReadOptions {
  ColumnNames columns{};
  DrawOptions draw{};  // Of a ServeGen folder.
};

// A folder is ServeGen's (chunk-N-trace.csv with chunk-N-dataset.json); a file that begins with '{'
// holds JSON lines; any other is a table. Blocks. Errors: kNotFound, kTooLarge, kCorrupt, with the
// path, the row and the column.
Result<Trace> ReadTrace(const std::string& path, const ReadOptions& options);

// The clients of a ServeGen folder, by number.
Result<std::vector<Client>> ReadClients(const std::string& folder);

}  // namespace penstock::trace
