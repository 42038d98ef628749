#include "apps/serve/privileges.h"

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace rejoin::serve {
namespace {

Error failed(std::string what) { return Error{ErrorKind::config, Side::ours, Retry::no, std::move(what)}; }

}  // namespace

// glibc's set*id() functions change all threads of the process, which is what POSIX asks for.
Status drop_privileges(const config::Process& process) {
  if (process.user.empty()) return {};
  const passwd* const user = getpwnam(process.user.c_str());
  if (user == nullptr) return failed("process.user: there is no user \"" + process.user + "\"");
  const uid_t uid = user->pw_uid;
  gid_t gid = user->pw_gid;
  if (!process.group.empty()) {
    const group* const named = getgrnam(process.group.c_str());
    if (named == nullptr) return failed("process.group: there is no group \"" + process.group + "\"");
    gid = named->gr_gid;
  }
  if (geteuid() == uid && getuid() == uid && getegid() == gid) return {};
  const std::string as = process.user + " (uid " + std::to_string(uid) + ", gid " + std::to_string(gid) + ")";
  const auto refused = [&as](const char* call) {
    return Error::from_errno(errno, "process.user: cannot become " + as + ": " + call);
  };
  // The groups first: who is no longer root may not change them.
  const bool grouped =
      process.group.empty() ? initgroups(process.user.c_str(), gid) == 0 : setgroups(1, &gid) == 0;
  if (!grouped) return refused("setgroups");
  if (setresgid(gid, gid, gid) != 0) return refused("setresgid");
  if (setresuid(uid, uid, uid) != 0) return refused("setresuid");
  if (uid != 0 && setuid(0) == 0) return failed("process.user: we are " + as + ", and could be root again");
  // Of this thread, and of what it starts: no program that is run from here gets more either.
  (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return {};
}

}  // namespace rejoin::serve
