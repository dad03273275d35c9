# What busybox's commands do, each told by its output: run by busybox sh on Linux and on Eres, which must say the same.
# The first argument is an empty folder to work in. Nothing here may depend on time, machine, process numbers or inode numbers.
cd "$1" || exit 1
export LC_ALL=C TZ=UTC
umask 022
title() { echo "== $*"; }

title echo printf test expr seq
echo one "two  three" 'four'
printf '%s|%5d|%-5s|%x|%c\n' text 42 left 255 letter
[ 3 -lt 5 ] && [ -d . ] && [ ! -e missing ] && echo true
expr 6 \* 7 + 1; expr length "a string"; expr match abcdef 'abc\(.*\)'
seq 1 3; seq -s, 10 -5 -5
title variables, loops, case, functions, arithmetic
total=0; for number in 1 2 3 4 5; do total=$((total + number * number)); done; echo "total $total $((total % 7)) $((1 << 10))"
name=archive.tar.gz; echo "${name%%.*} ${name#*.} ${#name} ${missing:-default} ${name/tar/zip}"
count() { local number=$1; while [ "$number" -gt 0 ]; do printf '%s ' "$number"; number=$((number - 1)); done; echo; }
count 4
case $name in *.zip) echo zip ;; *.gz) echo gz ;; esac
set -- a "b c" d; echo "$# $2"; shift; echo "$*"
title substitution, subshells, exit codes
echo "$(echo inner $(echo deeper))"; (cd /; pwd); pwd | sed 's/.*/still here/'
false; echo "false is $?"; sh -c 'exit 7'; echo "exit $?"; sh -c 'kill -TERM $$'; echo "killed $?"
! false && echo negated
title files
echo first >file; echo second >>file; cat file; cat <file | cat -
cp file copy; mv copy moved; ls -1; rm moved; ls -1
mkdir -p deep/er/est; touch deep/er/est/leaf; find deep | sort; rmdir deep/er 2>/dev/null || echo "not empty"
ln -s file link; readlink link; cat link; ln file hard; stat -c '%h %s %F %a' hard; rm file; cat hard; cat link 2>/dev/null || echo dangling
chmod 640 hard; stat -c %a hard; chmod u+x,g-r hard; ls -l hard | cut -c1-10
mkfifo fifo; (echo through the fifo >fifo &); cat fifo; ls -l fifo | cut -c1
dd if=/dev/zero of=zeros bs=1024 count=3 2>/dev/null; stat -c %s zeros; truncate -s 5000 zeros; wc -c <zeros
touch -d '2020-02-03 04:05:06' old; date -r old '+%F %T'; [ hard -nt old ] && echo newer
mktemp -d "$1/temporary.XXXXXX" | sed 's/\..*/.random/'; rm -r temporary.*
title globbing
mkdir globs; cd globs; touch a1 a2 b1 .hidden 'with blank'; echo *; echo a?; echo [ab]1; echo .h*; echo nothing*; for each in *; do echo "<$each>"; done; cd ..
title here-documents, redirections
cat <<END
value: $total
$(echo substituted)
END
cat <<'END'
literal: $total
END
cat <<-END
	without tabs
	END
{ echo out; echo error >&2; } 2>&1 | sort
{ echo out; echo error >&2; } 2>/dev/null
exec 5>descriptor; echo to five >&5; exec 5>&-; cat descriptor
read -r line <<END
read a line
END
echo "got $line"
title pipes
seq 1 1000 | grep 7 | wc -l
seq 1 20 | head -n 12 | tail -n 3 | tr '\n' ' '; echo
yes | head -n 2; seq 5 | tac; seq 3 | rev
echo "b a c" | tr ' ' '\n' | sort | uniq -c | awk '{ print $2 ":" $1 }'
printf 'x y\nz w\n' | cut -d' ' -f2; printf '3\n10\n2\n' | sort -n | paste -s -d+ -
seq 1 100000 | awk '{ sum += $1 } END { print sum }'
printf 'a:b:c\n' | awk -F: 'BEGIN { OFS = "-" } { $2 = "x"; print; print NF, length($0), toupper($1), substr($0, 2, 3) }'
echo 'hello world' | sed -e 's/o/0/g' -e 's/\(h\)\(e\)/\2\1/'; seq 5 | sed -n '2,4p'; seq 3 | sed '2d;s/^/> /'
echo one two three | xargs -n 1 echo item; printf '1\n2\n' | while read -r number; do echo "line $number"; done
echo text | tee teed | cat; cat teed; nl teed; fold -w 3 teed; od -c teed | head -n 1; hexdump -C teed | head -n 1
printf 'b\na\n' >left; printf 'b\nc\n' >right; diff left right; cmp left right; sort left right | uniq -d
expand -t 4 <<END | cat -A
	tab
END
echo 'dc and bc:'; echo '2 3 + p' | dc; echo '2^10' | bc
title sums
printf 'The quick brown fox' | md5sum; printf 'The quick brown fox' | sha1sum; printf 'The quick brown fox' | sha256sum
printf 'The quick brown fox' | sha512sum | cut -c1-32; printf abc | base64; printf abc | base64 | base64 -d; echo
title archives
mkdir -p tree/sub; echo content >tree/one; echo more >tree/sub/two; ln -s one tree/link
tar -cf tree.tar tree; tar -tf tree.tar | sort; mkdir out; tar -xf tree.tar -C out; cat out/tree/sub/two; readlink out/tree/link
gzip -c tree/one | gunzip -c; tar -czf tree.tgz tree; tar -tzf tree.tgz | wc -l; bzip2 -c tree/one | bunzip2 -c
find tree -type f | cpio -o -H newc 2>/dev/null | cpio -t 2>/dev/null | sort; unzip -h >/dev/null 2>&1; echo "unzip $?"
title find, du, xargs
find tree -name 't*' | sort; find tree -type l; find tree -type f -exec cat {} + | sort; find tree -maxdepth 1 -mindepth 1 | sort
find tree -type f -print0 | xargs -0 -n1 basename | sort; dirname a/b/c; basename a/b/c.txt .txt; realpath tree/link | sed "s|^$1|.|"
title time and processes
sleep 0; true; usleep 1000; date -u -d @86400 '+%F %T'; cal 2 2024 | head -n 3
sleep 100 & kill $!; wait $! 2>/dev/null; echo "wait $?"
(exit 3) & wait $!; echo "child $?"
trap 'echo trapped' USR1; kill -USR1 $$; trap - USR1
timeout 5 true; echo "timeout $?"; timeout -s KILL 1 sleep 10; echo "timeout $?"
env -i FOO=bar env; id -u; whoami; uname -s; hostname >/dev/null; nproc >/dev/null; echo "pid $(($$ > 0))"; time -f '' true 2>/dev/null; which sh
title permissions and limits
mkdir private; chmod 000 private; ls private; ulimit -n 64; ulimit -n
[ -c /dev/null ] && echo "null is a device"; echo lost >/dev/null; head -c 4 /dev/zero | od -An -tx1; echo full >/dev/full; echo "full $?"
head -c 16 /dev/urandom | wc -c; cat /proc/self/comm; [ -d /proc/$$ ] && echo "this process is there"; ls /proc/self/fd | grep -c '^[012]$'
echo "end"
