// DataDirectory: the one folder that a server owns, locked against a second server.
//
//   penstock.lock   held with flock(2); contains the holder's process id
//   penstock.db     SQLite: models, endpoints, keys, settings
//   admin.key       the first admin key, mode 0600
//   run/            Unix sockets of replicas
//   logs/           what replicas print
//   models/         models that whoever runs the server puts there: the schema system.ai
//   converted/      GGUF files made of registered folders
//   hub/            what was pulled from a hub
//   secrets/        keys of external models, a file each, mode 0600
//   calibrations/   reports of calibrations, and what their engines printed
#pragma once

#include <string>

#include "base/file.h"
#include "base/result.h"

namespace penstock::store {

class DataDirectory {
 public:
  // Makes the folder (mode 0700) where it is missing, and locks it until this object goes or the
  // process dies. Errors, each naming the path: kConflict with the holder's process id (in use),
  // kForbidden (not writable), kInvalidArgument (not a directory), kExhausted (disk full).
  static Result<DataDirectory> Open(const std::string& path);

  const std::string& path() const { return path_; }  // Absolute.
  std::string database_path() const { return path_ + "/penstock.db"; }
  std::string admin_key_path() const { return path_ + "/admin.key"; }
  std::string run_path() const { return path_ + "/run"; }
  std::string log_path() const { return path_ + "/logs"; }
  std::string models_path() const { return path_ + "/models"; }
  std::string converted_path() const { return path_ + "/converted"; }
  std::string hub_path() const { return path_ + "/hub"; }
  std::string secrets_path() const { return path_ + "/secrets"; }
  std::string calibration_path() const { return path_ + "/calibrations"; }

 private:
  DataDirectory(std::string path, Descriptor lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string path_;
  Descriptor lock_;
};

}  // namespace penstock::store
