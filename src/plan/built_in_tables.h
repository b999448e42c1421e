// Built-in tables: the data files of src/plan/data as text, put into the program by the build.
#pragma once

namespace penstock::plan {

extern const char* const kAzurePtuTable;
extern const char* const kDatabricksChunkTable;

}  // namespace penstock::plan
