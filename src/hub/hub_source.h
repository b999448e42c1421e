// HubSource: a repository on a hub, as a model's source names it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::hub {

// "hf:ORG/NAME[@REVISION][:FILE]".
struct HubSource {
  std::string repository{};       // "ORG/NAME"
  std::string revision = "main";  // Branch, tag or commit.
  std::string file{};             // One GGUF file of it; "" for the whole model.
};

bool IsHubSource(std::string_view text);  // Begins with "hf:".

// kInvalidArgument, naming `field`: names of other characters, or that lead out of their folder.
Result<HubSource> ParseHubSource(std::string_view text, const std::string& field);

}  // namespace penstock::hub
