// Pull: a model's files from a hub into a folder.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "hub/hub_source.h"
#include "hub/repository.h"

namespace penstock::hub {

inline constexpr const char* kHubUrl = "https://huggingface.co";

struct PullProgress {
  std::string file{};  // Being fetched.
  int number = 0;      // Of the file, from 1.
  int files = 0;
  std::int64_t done = 0;  // Bytes of all files.
  std::int64_t all = 0;
};

struct PullOptions {
  std::string endpoint = kHubUrl;  // "" is kHubUrl.
  std::string token{};
  bool insecure = false;
  // Told now and then; false stops the pull. What has come stays, and is gone on with next time.
  std::function<bool(const PullProgress&)> on_progress{};
};

struct PulledModel {
  std::string folder{};              // Of the repository.
  std::vector<std::string> files{};  // Paths.
  std::string commit{};
  std::string licence{};
  std::string pipeline_tag{};
};

// Into `folder`/ORG/NAME. Blocks. Errors: those of ParseRepository, ChooseFiles and Download;
// kExhausted where the disk has too little room, with the numbers, before anything is fetched.
Result<PulledModel> Pull(const HubSource& source, const std::string& folder,
                         const PullOptions& options);

// The token of this user: HF_TOKEN, else the file that HF_TOKEN_PATH or the hub's own tools name
// (~/.cache/huggingface/token); "" if there is none.
std::string TokenOfUser();
// HF_ENDPOINT, else kHubUrl.
std::string EndpointOfUser();

}  // namespace penstock::hub
