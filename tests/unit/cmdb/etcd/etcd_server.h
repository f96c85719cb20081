// Real etcd members for tests: on loopback, on free ports, with their data in a temporary folder.
#ifndef FASTCONTAINER_TESTS_UNIT_CMDB_ETCD_ETCD_SERVER_H_
#define FASTCONTAINER_TESTS_UNIT_CMDB_ETCD_ETCD_SERVER_H_

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/cmdb/cmdb_fixture.h"

namespace fastcontainer::etcd {

inline std::string FindProgram(const std::string& name) {
  for (const char* folder : {"/usr/bin/", "/usr/local/bin/", "/usr/sbin/"})
    if (access((folder + name).c_str(), X_OK) == 0) return folder + name;
  return "";
}

// Free now; somebody else may take it, so a server that does not start is started on others.
inline uint16_t FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
                     getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  close(fd);
  return bound ? ntohs(address.sin_port) : 0;
}

// A program that ends with its test, whatever happens to that.
class Child {
 public:
  Child(std::vector<std::string> arguments, const std::string& log) {
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pid_ = fork();
    if (pid_ != 0) {
      close(out);
      return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  ~Child() { Kill(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void Signal(int number) const {
    if (pid_ > 0) kill(pid_, number);
  }
  void Kill() {
    if (pid_ <= 0) return;
    Signal(SIGKILL);
    Wait();
  }
  int Wait() {
    int status = -1;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return status;
  }
  bool Ended() {
    if (pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
    return pid_ <= 0;
  }

 private:
  pid_t pid_ = -1;
};

// Runs a program to its end; its exit status.
inline int RunProgram(std::vector<std::string> arguments, const std::string& log) {
  if (arguments[0].empty()) return 127;
  const int status = Child(std::move(arguments), log).Wait();
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

class Cluster {
 public:
  // `extra` arguments go to each member; `scheme` is that of its clients.
  explicit Cluster(int members, std::vector<std::string> extra = {}, std::string scheme = "http")
      : extra_(std::move(extra)), scheme_(std::move(scheme)) {
    for (int i = 0; i < members; ++i) members_.push_back({FreePort(), FreePort(), nullptr});
    for (int i = 0; i < members; ++i) Start(i);
  }
  static bool Installed() { return !FindProgram("etcd").empty(); }

  void Start(int member) {
    const std::string name = "m" + std::to_string(member);
    const std::string client = scheme_ + "://127.0.0.1:" + std::to_string(members_[Index(member)].client);
    const std::string peer = "http://127.0.0.1:" + std::to_string(members_[Index(member)].peer);
    std::vector<std::string> arguments = {FindProgram("etcd"),
                                          "--name=" + name,
                                          "--data-dir=" + folder_.File(name),
                                          "--listen-client-urls=" + client,
                                          "--advertise-client-urls=" + client,
                                          "--listen-peer-urls=" + peer,
                                          "--initial-advertise-peer-urls=" + peer,
                                          "--initial-cluster=" + InitialCluster(),
                                          "--log-level=error",
                                          "--logger=zap"};
    arguments.insert(arguments.end(), extra_.begin(), extra_.end());
    members_[Index(member)].process =
        std::make_unique<Child>(std::move(arguments), folder_.File(name + ".log"));
  }
  Child& member(int i) { return *members_[Index(i)].process; }
  size_t size() const { return members_.size(); }
  uint16_t Port(int i) const { return members_[Index(i)].client; }
  std::string Endpoint(int i) const { return "127.0.0.1:" + std::to_string(members_[Index(i)].client); }
  std::string Endpoints() const {
    std::string all;
    for (size_t i = 0; i < members_.size(); ++i) all += (i == 0 ? "" : ",") + Endpoint(static_cast<int>(i));
    return all;
  }
  std::string url() const { return "etcd://" + Endpoints(); }
  const TemporaryFolder& folder() const { return folder_; }

 private:
  struct Member {
    uint16_t client;
    uint16_t peer;
    std::unique_ptr<Child> process;
  };
  static size_t Index(int i) { return static_cast<size_t>(i); }
  std::string InitialCluster() const {
    std::string all;
    for (size_t i = 0; i < members_.size(); ++i) {
      all +=
          (i == 0 ? "m" : ",m") + std::to_string(i) + "=http://127.0.0.1:" + std::to_string(members_[i].peer);
    }
    return all;
  }

  const std::vector<std::string> extra_;
  const std::string scheme_;
  TemporaryFolder folder_;
  std::vector<Member> members_;
};

// True once the store answers linearizable reads.
inline bool AwaitStore(EpollReactor& reactor, Cmdb& cmdb) {
  const Nanos end = reactor.Now() + kPatience;
  while (reactor.Now() < end)
    if (GetNow(reactor, cmdb, "/").ok()) return true;
  return false;
}

}  // namespace fastcontainer::etcd

#endif  // FASTCONTAINER_TESTS_UNIT_CMDB_ETCD_ETCD_SERVER_H_
