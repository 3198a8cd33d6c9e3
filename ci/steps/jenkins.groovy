// Reads a declarative Jenkinsfile and runs its `sh` steps here, in its order: what a Jenkins agent would do, without Jenkins.
//
//     ci/steps/jenkins.sh --list                            the stages and their commands; runs nothing
//     ci/steps/jenkins.sh --from compile --to bake          these stages, for each cell of the matrix
//     ci/steps/jenkins.sh --set MODEL=resnet18 --only TARGET=host --approve
//
// A directive that does not belong where it stands, or that this file does not know, is an error. Parameters have their
// defaults unless --set. A stage with `input` ends the run unless --approve; `when { branch }` looks at $BRANCH_NAME.

class Stage {
    String name, branch
    List<String> commands = []
    Map<String, List<String>> axes = [:]
    List<Stage> inner = []
    boolean asks
}

// One section of the file: the directives that may stand in it, each with what it does.
class Section {
    String title
    Map<String, Closure> directives

    def methodMissing(String name, arguments) {
        def handler = directives[name]
        if (!handler) {
            throw new IllegalArgumentException("${title} has no directive '${name}'; it has ${directives.keySet().join(', ')}")
        }
        handler(*arguments)
    }

    def propertyMissing(String name) {
        if (name in ['any', 'none']) {
            return name
        }
        throw new IllegalArgumentException("${title}: unknown word '${name}'")
    }

    static void read(String title, Closure body, Map<String, Closure> directives) {
        body.delegate = new Section(title: title, directives: directives)
        body.resolveStrategy = Closure.DELEGATE_ONLY
        body()
    }
}

class Reader {
    List<Stage> stages = []
    Map<String, String> parameters = [:]
    static final Closure ACCEPTED = { Object... ignored -> null }

    void pipeline(Closure body) {
        Section.read('pipeline', body, [
            agent: ACCEPTED,
            options: { Closure it -> Section.read('options', it, ['buildDiscarder', 'logRotator', 'disableConcurrentBuilds', 'timeout',
                'timestamps', 'skipDefaultCheckout'].collectEntries { [it, ACCEPTED] }) },
            parameters: { Closure it -> Section.read('parameters', it, [
                string: { Map p -> parameters[p.name] = p.defaultValue },
                choice: { Map p -> parameters[p.name] = p.choices[0] },
            ]) },
            stages: { Closure it -> stages = readStages(it) },
            post: { Closure it -> Section.read('post', it, ['always', 'success', 'failure'].collectEntries { condition ->
                [condition, { Closure steps -> Section.read(condition, steps, [archiveArtifacts: ACCEPTED, junit: ACCEPTED]) }]
            }) },
        ])
        if (!stages) {
            throw new IllegalArgumentException('pipeline has no stages')
        }
    }

    List<Stage> readStages(Closure body) {
        def found = []
        Section.read('stages', body, [stage: { String name, Closure it -> found << readStage(name, it) }])
        found
    }

    Stage readStage(String name, Closure body) {
        def stage = new Stage(name: name)
        Section.read("stage '${name}'", body, [
            steps: { Closure it -> Section.read("steps of '${name}'", it, [sh: { String command -> stage.commands << command }]) },
            when: { Closure it -> Section.read("when of '${name}'", it, [beforeInput: ACCEPTED, branch: { stage.branch = it }]) },
            input: { Closure it ->
                stage.asks = true
                Section.read("input of '${name}'", it, [message: ACCEPTED, ok: ACCEPTED])
            },
            matrix: { Closure it -> Section.read("matrix of '${name}'", it, [
                axes: { Closure axes -> Section.read('axes', axes, [axis: { Closure axis ->
                    def read = [:]
                    Section.read('axis', axis, [name: { read.name = it }, values: { String... values -> read.values = values as List }])
                    stage.axes[read.name] = read.values
                }]) },
                stages: { Closure inner -> stage.inner = readStages(inner) },
            ]) },
        ])
        if (!stage.commands && !stage.inner) {
            throw new IllegalArgumentException("stage '${name}' has neither steps nor stages")
        }
        stage
    }
}

class Runner {
    Map<String, String> environment
    Map<String, String> only
    boolean list, approve
    String from, to
    boolean started, ended

    void run(List<Stage> stages, Map<String, String> cell = [:]) {
        for (stage in stages) {
            if (stage.inner) {
                cells(stage.axes).findAll { found -> only.every { k, v -> found[k] in [null, v] } }.each { run(stage.inner, cell + it) }
                continue
            }
            if (!wanted(stage.name, stages)) {
                continue
            }
            if (!list && stage.branch && stage.branch != environment.BRANCH_NAME) {
                println "== stage ${stage.name}: left out, the branch is ${environment.BRANCH_NAME}, not ${stage.branch}"
                continue
            }
            if (!list && stage.asks && !approve) {
                println "== stage ${stage.name}: waits for a person (--approve answers)"
                System.out.flush()
                System.exit(0)
            }
            stage.commands.each { execute(stage.name, it, cell) }
        }
    }

    // With --from and --to, inside the matrix the same span is taken in every cell.
    boolean wanted(String name, List<Stage> among) {
        def order = Main.order
        def index = order.indexOf(name)
        (!from || index >= order.indexOf(from)) && (!to || index <= order.indexOf(to))
    }

    static List<Map<String, String>> cells(Map<String, List<String>> axes) {
        axes.inject([[:]]) { found, name, values -> found.collectMany { cell -> values.collect { cell + [(name): it] } } }
    }

    void execute(String name, String command, Map<String, String> cell) {
        def title = ([name] + cell.collect { k, v -> "$k=$v" }).join(' ')
        println list ? "${title}: ${command}" : "== stage ${title}: ${command}"
        System.out.flush()
        if (list) {
            return
        }
        // As Jenkins' sh step does: a shell that stops at the first failure.
        def builder = new ProcessBuilder('sh', '-e', '-c', command).inheritIO()
        builder.environment().putAll(environment + cell)
        def code = builder.start().waitFor()
        if (code) {
            System.err.println "error: StageFailed: stage ${title}: `${command}` ended with ${code}"
            System.exit(1)
        }
    }
}

class Main {
    static List<String> order = []

    static List<String> names(List<Stage> stages) {
        stages.collectMany { it.inner ? names(it.inner) : [it.name] }
    }

    static Map<String, String> pair(String text) {
        def (name, value) = text.split('=', 2)
        [(name): value]
    }
}

def file = new File(args[0])
def options = [set: [:], only: [:], list: false, approve: false, from: null, to: null]
def rest = args.drop(1) as List
while (rest) {
    def word = rest.remove(0)
    switch (word) {
        case '--list': options.list = true; break
        case '--approve': options.approve = true; break
        case '--from': options.from = rest.remove(0); break
        case '--to': options.to = rest.remove(0); break
        case '--set': options.set += Main.pair(rest.remove(0)); break
        case '--only': options.only += Main.pair(rest.remove(0)); break
        default: System.err.println("error: UnknownOption: ${word}"); System.exit(2)
    }
}
def reader = new Reader()
try {
    def script = new GroovyShell(new Binding(pipeline: reader.&pipeline)).parse(file)
    script.run()
    Main.order = Main.names(reader.stages)
    [options.from, options.to].findAll { it && !(it in Main.order) }.each { throw new IllegalArgumentException("no stage '${it}'; one of ${Main.order.join(', ')}") }
} catch (IllegalArgumentException | org.codehaus.groovy.control.CompilationFailedException error) {
    System.err.println("error: JenkinsfileInvalid: ${file}: ${error.message.readLines().findAll { it.trim() }.take(2).join(' ')}")
    System.exit(1)
}
def unknown = options.set.keySet() - reader.parameters.keySet()
if (unknown) {
    System.err.println("error: UnknownParameter: ${unknown.join(', ')}; ${file.name} has ${reader.parameters.keySet().join(', ')}")
    System.exit(2)
}
def environment = reader.parameters + options.set + [BRANCH_NAME: System.getenv('BRANCH_NAME') ?: 'main']
new Runner(environment: environment, only: options.only, list: options.list, approve: options.approve,
    from: options.from, to: options.to).run(reader.stages)
