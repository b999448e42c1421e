// Report parts: what the pages of this folder have in common.
#pragma once

#include <string>

#include "bench/record/record.h"
#include "page/page.h"

namespace penstock::bench {

// Where and with what a run was made, as one definition list.
void AddEnvironment(const RunHeader& header, page::Page& page);

// "2026-01-02T03:04:05.678Z" as people write it; anything else stays as it is.
std::string MomentText(const std::string& started_at);

// The model's name, else that of Azure's deployment or Databricks' endpoint in the URL, else the
// URL.
std::string TargetText(const RunHeader& header);

}  // namespace penstock::bench
