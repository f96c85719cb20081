// Tells when another process, or this one, has touched a file.
#ifndef FASTCONTAINER_LIB_CMDB_FILE_WATCH_H_
#define FASTCONTAINER_LIB_CMDB_FILE_WATCH_H_

#include <sys/types.h>

#include <string>

#include "absl/functional/any_invocable.h"
#include "fastcontainer/reactor.h"

namespace fastcontainer {

// Belongs to the loop's thread. Where inotify is not to be had (its limits, a reactor without descriptors)
// nothing is told, and the owner's slow poll must do.
class FileWatch {
 public:
  FileWatch(std::string path, Reactor& reactor, absl::AnyInvocable<void()> touched);
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  // False once the path names another file than at the beginning, or none.
  bool IsSameFile() const;
  // Wakes every FileWatch on the file, in all processes. Any thread.
  static void Touch(const std::string& path);

 private:
  void Drain();

  const std::string path_;
  Reactor& reactor_;
  absl::AnyInvocable<void()> touched_;
  int fd_ = -1;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_CMDB_FILE_WATCH_H_
