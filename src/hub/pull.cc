#include "hub/pull.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "hub/download.h"
#include "hub/fetch.h"

namespace penstock::hub {
namespace {

constexpr std::size_t kAnswerMax = std::size_t{16} << 20;
constexpr std::size_t kTokenMax = 4096;

// A path's characters but for '/', as they may stand in a URL.
std::string Encoded(std::string_view path) {
  std::string encoded;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~' || c == '/';
    if (plain) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

std::string Base(const PullOptions& options) {
  std::string base = options.endpoint.empty() ? kHubUrl : options.endpoint;
  while (base.ends_with('/')) base.pop_back();
  return base;
}

Result<Repository> List(const HubSource& source, const PullOptions& options) {
  std::string revision = source.revision;
  if (const auto slash = revision.find('/'); slash != std::string::npos) {
    revision.replace(slash, 1, "%2F");
  }
  std::string answer;
  const Status fetched =
      Fetch({.url = fmt::format("{}/api/models/{}/revision/{}?blobs=true", Base(options),
                                source.repository, revision),
             .token = options.token,
             .insecure = options.insecure,
             .on_start = [](bool) { return Status(); },
             .on_bytes = [&answer](std::string_view bytes) -> Status {
               if (answer.size() + bytes.size() > kAnswerMax) {
                 return Fail(Code::kTooLarge,
                             fmt::format("the hub's answer has more than {} bytes", kAnswerMax));
               }
               answer += bytes;
               return {};
             }});
  if (!fetched) {
    return Fail(fetched.error().code,
                fmt::format("hf:{}: {}", source.repository, fetched.error().message));
  }
  return ParseRepository(answer);
}

Status CheckRoom(const std::string& folder, std::int64_t bytes) {
  struct statvfs disk{};
  if (statvfs(folder.c_str(), &disk) != 0) return {};  // Then the writes will tell.
  const auto room = static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize);
  if (static_cast<double>(bytes) <= room) return {};
  return Fail(Code::kExhausted,
              fmt::format("the model needs {:.1f} GB of disk, {} has {:.1f} GB free",
                          static_cast<double>(bytes) * 1e-9, folder, room * 1e-9));
}

// Bytes of the files that are not there yet; what is there in part counts as missing.
std::int64_t Missing(const std::vector<RemoteFile>& files, const std::string& folder) {
  std::int64_t bytes = 0;
  for (const RemoteFile& file : files) {
    std::error_code failure;
    const auto size = std::filesystem::file_size(folder + "/" + file.path, failure);
    if (failure || std::cmp_not_equal(size, file.size)) bytes += file.size;
  }
  return bytes;
}

}  // namespace

Result<PulledModel> Pull(const HubSource& source, const std::string& folder,
                         const PullOptions& options) {
  const auto repository = List(source, options);
  if (!repository) return Fail(repository.error());
  const auto files = ChooseFiles(*repository, source.file);
  if (!files) {
    return Fail(files.error().code,
                fmt::format("hf:{}: {}", source.repository, files.error().message));
  }
  PulledModel pulled{.folder = folder + "/" + source.repository,
                     .commit = repository->commit,
                     .licence = repository->licence,
                     .pipeline_tag = repository->pipeline_tag};
  std::error_code failure;
  std::filesystem::create_directories(pulled.folder, failure);
  if (failure) return Fail(SystemError("create", pulled.folder, failure.value()));
  if (auto room = CheckRoom(pulled.folder, Missing(*files, pulled.folder)); !room) {
    return Fail(room.error());
  }
  PullProgress progress{.files = static_cast<int>(files->size())};
  for (const RemoteFile& file : *files) progress.all += file.size;
  std::int64_t before = 0;
  for (const RemoteFile& file : *files) {
    progress.file = file.path;
    ++progress.number;
    const auto report = [&](std::int64_t bytes) {
      progress.done = before + bytes;
      return !options.on_progress || options.on_progress(progress);
    };
    if (!report(0)) return Fail(Code::kCancelled, "the pull was stopped");
    const std::string path = pulled.folder + "/" + file.path;
    const Status got =
        Download(file, path,
                 {.url = fmt::format("{}/{}/resolve/{}/{}", Base(options), source.repository,
                                     repository->commit, Encoded(file.path)),
                  .token = options.token,
                  .insecure = options.insecure,
                  .on_progress = report});
    if (!got) {
      return Fail(got.error().code,
                  fmt::format("hf:{}: {}", source.repository, got.error().message));
    }
    before += file.size;
    (void)report(0);
    pulled.files.push_back(path);
  }
  return pulled;
}

std::string TokenOfUser() {
  const auto variable = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  std::string token = variable("HF_TOKEN");
  if (token.empty()) {
    std::string path = variable("HF_TOKEN_PATH");
    if (path.empty() && !variable("HF_HOME").empty()) path = variable("HF_HOME") + "/token";
    if (path.empty()) path = variable("HOME") + "/.cache/huggingface/token";
    token = ReadSmallFile(path, kTokenMax).value_or("");
  }
  std::erase_if(token, [](char c) { return c <= ' ' || c > '~'; });
  return token;
}

std::string EndpointOfUser() {
  const char* value = std::getenv("HF_ENDPOINT");
  return value == nullptr || *value == '\0' ? kHubUrl : value;
}

}  // namespace penstock::hub
