# fish completion for litepull(1). Commands, options and arguments are read from its own --help, so that this
# file never falls behind. Snapshots are read from `litepull list`.

# "name<tab>what it does" of the commands (no argument), or of the options of a command.
function __litepull_described
    command litepull $argv --help 2>/dev/null | awk -v of="$argv" '
        function add(names, text,    n, part, i) {
            n = split(names, part, ",")
            for (i = 1; i <= n; ++i) print part[i] "\t" text
        }
        /^Subcommands:/ { commands = 1; next }
        /^$/ { commands = 0 }
        commands && of == "" { name = $1; sub(/^ *[a-z]+ +/, ""); add(name, $0) }
        pending != "" { sub(/^ +/, ""); add(pending, $0); pending = ""; next }
        of != "" && /^ +-/ {
            name = $1; sub(/[{].*/, "", name); sub(/^ +/, "")
            if (match($0, /   */)) add(name, substr($0, RSTART + RLENGTH)); else pending = name
        }'
end

# The snapshots of an app, which is a file or a name, as JSON. A slow disk must not keep the prompt waiting.
function __litepull_listed
    set -l config (string replace -r '^~/' "$HOME/" -- $argv[1])
    if not test -e "$config"; and test -e "config/projects/$config.env"
        set config "config/projects/$config.env"
    end
    set -l within
    command -q timeout; and set within timeout 2
    command $within litepull list --json $config 2>/dev/null
end

# The databases in the newest snapshot of an app.
function __litepull_databases
    set -l newest (__litepull_listed $argv[1] | sed -n 's/^ *"path": "\([^"]*\)",$/\1/p' | sort | tail -n 1)
    test -n "$newest"; and find "$newest" -path "$newest/.*" -prune -o -type f -name '*.sqlite3' -print 2>/dev/null | string replace -- "$newest/" ''
end

# What can stand at the cursor.
function __litepull_words
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -e before[1]
    if test (count $before) -eq 0
        __litepull_described
        printf '%s\n' --help --version
        return
    end
    set -l name $before[1]
    set -l with_value (command litepull $name --help 2>/dev/null |
        sed -n 's/^  *\(-[-a-z,A-Z]*\) [A-Z][A-Z].*$/\1/p' | string split ,)
    set -l given
    set -l taking ''
    for word in $before[2..-1]
        if test "$word" = -- -a $name = open
            return
        else if test -n "$taking"
            set taking ''
        else if contains -- $word $with_value
            set taking $word
        else if not string match -q -- '-*' $word
            set -a given $word
        end
    end
    set -l prefix ''
    if string match -qr -- '^--[a-z-]+=' $current
        set prefix (string match -r -- '^--[a-z-]+=' $current)
        set taking (string trim -r -c = -- $prefix)
    end
    switch "$taking"
        case ''
        case --verify
            printf '%s\n' $prefix{full,quick,none,strict}
            return
        case --database
            set -q given[1]; and printf '%s\n' $prefix(__litepull_databases $given[1])
            return
        case --to
            __fish_complete_directories (string replace -- "$prefix" '' $current)
            return
        case '*'
            __fish_complete_path (string replace -- "$prefix" '' $current)
            return
    end
    if string match -q -- '-*' $current
        __litepull_described $name
        return
    end
    set -l kinds (command litepull $name --help 2>/dev/null |
        sed -n 's/^  \([A-Z][A-Z]*\) TEXT\( \.\.\.\)\{0,1\}.*/\1\2/p')
    set -l at (math (count $given) + 1)
    set -l kind
    test (count $kinds) -lt $at; or set kind $kinds[$at]
    string match -q -- '*...' "$kinds[1]"; and set kind $kinds[1]
    switch "$kind"
        case 'CONFIG*'
            set -l projects config/projects/*.env
            printf '%s\n' $projects
            string replace -r '^.*/(.*)\.env$' '$1' -- $projects
            __fish_complete_suffix .env
        case SNAPSHOT A B
            printf '%s\n' latest latest-verified
            test $name = verify; and echo all
            test $name = diff; and echo live
            __litepull_listed $given[1] |
                sed -n -e 's/^ *"name": "\([0-9][^"]*T[^"]*\)",$/\1/p' -e 's/^ *"label": "\([^"]*\)".*/\1/p'
    end
end

complete -c litepull -f -k -a '(__litepull_words)'
