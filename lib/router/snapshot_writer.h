// Writes a file beside the one it is to replace, on a thread of its own: a disk may take seconds.
#ifndef FASTCONTAINER_LIB_ROUTER_SNAPSHOT_WRITER_H_
#define FASTCONTAINER_LIB_ROUTER_SNAPSHOT_WRITER_H_

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"

namespace fastcontainer {

class SnapshotWriter {
 public:
  // `done` runs on the writer's thread once the file is in place, or has failed.
  SnapshotWriter(std::string path, absl::AnyInvocable<void(absl::Status)> done);
  // Waits for the end; a file that was not finished is thrown away.
  ~SnapshotWriter();

  void Add(std::string bytes);
  // No more follows: the file is synchronized and takes its place.
  void Finish();
  // Bytes that are not written yet.
  size_t queued() const;

 private:
  void Run();
  absl::Status Write();
  absl::Status WriteAll(int fd);

  const std::string path_;
  const std::string temporary_;
  absl::AnyInvocable<void(absl::Status)> done_;
  mutable std::mutex mutex_;  // guards what follows but the thread
  std::condition_variable changed_;
  std::deque<std::string> pieces_;
  size_t queued_ = 0;
  bool finished_ = false;
  bool abandoned_ = false;
  bool failed_ = false;  // what comes is dropped
  std::thread thread_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ROUTER_SNAPSHOT_WRITER_H_
