// What survives the dispatcher: one small JSON file for each instance, written before the instance exists.
#ifndef FASTCONTAINER_LIB_RUNTIME_STATE_FOLDER_H_
#define FASTCONTAINER_LIB_RUNTIME_STATE_FOLDER_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fastcontainer/address.h"
#include "lib/runtime/unique_fd.h"

namespace fastcontainer {

// A file name for any id: what is not in [A-Za-z0-9_-] (or an inner '.') is percent-escaped; past 200 bytes
// the tail is replaced by a hash.
std::string FileNameFor(std::string_view id);
// The id of a name made by FileNameFor, "" if it was shortened or is none.
std::string IdOfFileName(std::string_view name);

struct InstanceRecord {
  std::string instance;
  std::string container;
  uint32_t replica = 0;
  uint64_t epoch = 0;
  std::string spec_revision;
  Address address;
  std::string boot_id;
  pid_t pid = 0;  // of the session's leader; 0: the intent alone, it may or may not have been started
  uint64_t start_time = 0;  // of the leader, clock ticks since boot
  std::string cgroup;       // its folder; "": none
  bool ready = false;
};

// InvalidArgument if an id is not UTF-8.
absl::StatusOr<std::string> EncodeInstanceRecord(const InstanceRecord& record);
absl::StatusOr<InstanceRecord> DecodeInstanceRecord(std::string_view json);

// Held by one process at a time. Every call blocks for as long as the file system takes for a file of some
// hundred bytes.
class StateFolder {
 public:
  // Makes the folder if it is not there. Errors: Unavailable (it cannot be made, is not writable, or another
  // process holds it).
  static absl::StatusOr<StateFolder> Open(const std::string& path);

  // Replaces the instance's file; the old one stays whole if this fails. This process's death is survived,
  // not the machine's: it ends the instance too, and a flush takes as long as a third of a start. Errors:
  // ResourceExhausted (disk or quota full), Unavailable, InvalidArgument.
  absl::Status Write(const InstanceRecord& record);
  absl::Status Remove(const std::string& instance);

  struct Listing {
    std::vector<InstanceRecord> records;
    // Ids of files that could not be understood and are now called *.corrupt; "" where even the id is lost.
    std::vector<std::string> corrupt;
  };
  absl::StatusOr<Listing> List();

  const std::string& path() const { return path_; }

 private:
  StateFolder(std::string path, UniqueFd lock);
  std::string PathOf(const std::string& instance) const;
  absl::Status WriteTemporary(const std::string& path, const std::string& content);

  std::string path_;
  UniqueFd lock_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_RUNTIME_STATE_FOLDER_H_
